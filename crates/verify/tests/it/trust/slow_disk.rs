//! A cache on a disk that takes its time.

use std::fs::{OpenOptions, remove_file};
use std::sync::mpsc;
use std::time::Duration;

use countersign_verify::TufNetwork;
use rustix::fs::{CWD, Mode, mkfifoat};
use tokio::sync::oneshot;

use super::{Fixture, good};

/// Far more than the rest of the process needs to answer.
const LONG: Duration = Duration::from_secs(20);

/// All is on one thread here, so that a task that waits for the disk would stop all others.
#[tokio::test]
async fn other_work_goes_on_while_the_cache_is_read() {
    let fixture = Fixture::serving(good).await;
    fixture.load().await.unwrap();
    let slow = fixture.cache().join("refreshed");
    remove_file(&slow).unwrap();
    mkfifoat(CWD, &slow, Mode::RUSR | Mode::WUSR).unwrap();

    let (asks, asked) = oneshot::channel();
    let disk = std::thread::spawn(move || {
        // Opens when somebody reads. The reader waits until it is closed.
        let _open = OpenOptions::new().write(true).open(slow).unwrap();
        let (answers, answered) = mpsc::channel();
        asks.send(answers).unwrap();
        answered.recv_timeout(LONG)
    });
    let others = async { asked.await.unwrap().send(()) };
    let loading = fixture.load_elsewhere("offline", TufNetwork::Offline);
    let (loaded, _) = tokio::join!(loading, others);
    loaded.unwrap();
    disk.join().unwrap().unwrap();
}
