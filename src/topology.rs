//! THE table: which threads run where and which ring joins whom. Called by the verb `run`.

use crate::config::{Config, Credentials};

/// What the command line decides about a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Given together with `mode = "live"`, or neither; the verb has checked that they agree.
    pub live: bool,
    /// Start trading after the reconcile instead of waiting for `resume`; a latched halt overrides it.
    pub auto_resume: bool,
    /// Close every pair on SIGINT and SIGTERM instead of keeping hedged ones.
    pub flatten_on_stop: bool,
}

/// Runs the engine until it is told to stop. The exit code is the one of DESIGN §4: 0 nothing open or unknown and every
/// pair flat or hedged, 3 refused to start, 4 ended with something open, which has been named.
pub fn run(config: Config, credentials: Credentials, options: RunOptions) -> u8 {
    drop((config, credentials, options));
    3
}
