//! Felts for the tests of this folder: random ones and those at the edges.
#![cfg(test)]

use starknet_crypto::Felt;

/// Cases of one differential test: few in a test run, as many as `BOT4_SIGNATURES` says in a campaign.
pub fn cases(usual: u64) -> u64 {
    std::env::var("BOT4_SIGNATURES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// An endless supply of felts (xorshift).
pub struct Felts {
    state: u64,
    edges: Vec<Felt>,
}

impl Felts {
    pub fn new(seed: u64) -> Self {
        let powers = [0, 1, 4, 12, 63, 64, 128, 192, 248, 250, 251].map(|n| Felt::TWO.pow(n as u64));
        let near = powers.into_iter().flat_map(|power| [power - Felt::ONE, power, power + Felt::ONE]);
        let edges = near.chain([Felt::MAX, Felt::MAX - Felt::ONE]).collect();
        Self { state: seed | 1 << 40, edges }
    }

    pub fn cases(&self) -> u64 {
        cases(200)
    }

    /// First the edges, then anything.
    pub fn any(&mut self) -> Felt {
        self.edges.pop().unwrap_or_else(|| self.random())
    }

    /// A private key.
    pub fn key(&mut self) -> Felt {
        // Below 2^251, and so below the number of points.
        let key = self.random();
        if key == Felt::ZERO { Felt::THREE } else { key }
    }

    fn random(&mut self) -> Felt {
        let mut bytes = [0; 32];
        for eight in bytes.chunks_exact_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            eight.copy_from_slice(&self.state.to_be_bytes());
        }
        bytes[0] &= 0x07;
        Felt::from_bytes_be(&bytes)
    }
}
