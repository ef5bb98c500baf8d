//! How many files this process may have open at once. The runtime panics where it can't open what it
//! needs to begin, so that this is asked before.
//!
//! Where the limit is too low, it is raised for this process; it is never lowered.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::{Failure, Kind};

/// What the runtime opens before anything of ours does. From here on an open that fails is an error
/// like any other.
const NEEDED: u64 = 9;

/// Refuses to go on where fewer files than are needed may be open at once, and the limit can't be
/// raised.
pub(crate) fn require() -> Result<(), Failure> {
    let found = getrlimit(Resource::Nofile);
    let Some(current) = found.current.filter(|current| *current < NEEDED) else {
        return Ok(());
    };
    // Anybody may raise the limit up to the one that root set.
    let raised = Rlimit {
        current: Some(NEEDED),
        maximum: found.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|_| {
        let message = format!(
            "too few files may be open at once: expected at least {NEEDED}, found {current}"
        );
        Failure::new(Kind::Machine, message).hint("raise the limit, as by `ulimit -n 1024`")
    })
}
