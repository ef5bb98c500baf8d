//! Takes a target and makes its staging directory, from asynchronous code.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::blocking::blocking;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::options::WhenBusy;
use crate::target::{Held, Staging};

/// How long to wait before trying again to take a target that another run holds.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes the target `directory`. Nobody else installs to it while it is held. If another run holds it
/// and `busy` says to wait, this reports [`Event::Waiting`] once and waits.
pub(crate) async fn hold(
    directory: &Path,
    busy: WhenBusy,
    events: Events<'_>,
) -> Result<Arc<Held>, Error> {
    let mut told = false;
    loop {
        let path = directory.to_path_buf();
        match blocking(move || Held::take(&path)).await {
            Err(Error::Busy { path }) if busy == WhenBusy::Wait => {
                if !told {
                    events(Event::Waiting { path });
                    told = true;
                }
                // A thread that blocks could not be stopped.
                tokio::time::sleep(PAUSE).await;
            }
            result => return Ok(Arc::new(result?)),
        }
    }
}

/// Makes a staging directory beside a target that is held.
pub(crate) async fn stage(held: &Arc<Held>) -> Result<Arc<Staging>, Error> {
    let held = Arc::clone(held);
    Ok(Arc::new(blocking(move || held.stage()).await?))
}
