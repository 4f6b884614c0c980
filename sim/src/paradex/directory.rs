//! Who trades here, and in which signing domain: fixed for a run.

use starknet_crypto::Felt;

use super::felt;
use super::typed_data::Domain;
use crate::core::AccountId;
use crate::options::Keys;

/// Class hashes, chain and L1 network of the published test fixtures: what the keys of a run derive from.
pub const CHAIN_ID: &str = "PRIVATE_SN_POTC_SEPOLIA";
pub const L1_CHAIN_ID: &str = "11155111";
pub const PROXY_HASH: &str = "0x3530cc4759d78042f1b543bf797f5f3d647cde0388c33734cf91b7f7b9314a9";
pub const ACCOUNT_HASH: &str = "0x41cb0280ebadaa75f996d8d92c6f265f6d040bb3ba442e5f86a554f1765244e";

/// One onboarded account and the public keys that may act for it: its own, and subkeys.
#[derive(Clone, Debug)]
pub struct Trader {
    pub address: Felt,
    pub keys: Vec<Felt>,
}

/// The traders, by account.
#[derive(Clone, Debug)]
pub struct Directory {
    pub domain: Domain,
    pub traders: Vec<Trader>,
}

impl Directory {
    /// The directory of a run: the one trader of `keys`. `None` when a key is no field element.
    pub fn of(keys: &Keys) -> Option<Directory> {
        let subkey = starknet_crypto::get_public_key(&felt::from_hex(&keys.paradex_subkey)?);
        let main = felt::from_hex(&keys.paradex_main_public)?;
        let trader = Trader { address: felt::from_hex(&keys.paradex_account)?, keys: vec![main, subkey] };
        Some(Directory { domain: Domain::new(CHAIN_ID)?, traders: vec![trader] })
    }

    /// The account at an address.
    pub fn account(&self, address: &Felt) -> Option<AccountId> {
        self.traders.iter().position(|trader| trader.address == *address)
    }

    /// The address of an account; zero for one that does not exist.
    pub fn address(&self, account: AccountId) -> Felt {
        self.traders.get(account).map(|trader| trader.address).unwrap_or_default()
    }
}
