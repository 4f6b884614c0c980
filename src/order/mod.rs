//! 6 ORDER. From a wish to two signed orders and back to a flat pair. `core` decides (pure), `gate` permits by the
//! `facts` of its venues, `pair`, `lifecycle` and `bygone` remember, `news` and `resolve` find out what became of
//! orders (`misfit`: of what nobody ordered), `mend` prices the way home of a lone leg, `differ` follows what the
//! venues hold, `lost` finds what the journal has lost and `misplaced` what the configuration has, `modes` says what a
//! person and the limits allow; `thread` moves the bytes and asks the keepers. Orders are signed before they are wanted
//! by `signer` (a ladder of them: `rungs`) and lie ready on the `shelf`.

mod blind;
pub mod board;
mod bygone;
pub mod core;
pub mod decide;
pub mod differ;
pub mod facts;
pub mod gate;
pub mod health;
mod lately;
pub mod lifecycle;
mod lost;
pub mod mend;
mod misfit;
pub mod misplaced;
pub mod modes;
pub mod news;
pub mod pair;
pub mod reconcile;
mod resolve;
pub mod rungs;
pub mod settle;
pub mod shelf;
pub mod signer;
pub mod stop;
pub mod thread;
mod throttle;
mod untold;
