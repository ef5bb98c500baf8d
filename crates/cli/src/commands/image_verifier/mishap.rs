//! The answer if the program has a fault: a refusal, whatever the configuration says.
//!
//! A panic ends the program by a signal, which containerd takes for a no. This gives it the reason too.

use std::io::{self, Write as _};
use std::panic;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Kind, exit_code};

const LINE: &str = "refused: countersign-image-verifier has a fault (a panic; containerd's log says where); report it, \
                    and update the program\n";

/// Whether the answer was told.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Has a panic of any thread answer and end the program.
#[expect(
    clippy::exit,
    reason = "after a panic nothing else may answer, not even another thread"
)]
pub(super) fn answers() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if !ANSWERED.swap(true, Ordering::SeqCst) {
            // Where it can't be written, the exit code is answer enough.
            let _ = io::stdout().write_all(LINE.as_bytes());
        }
        process::exit(exit_code(Kind::Internal).into());
    }));
}

/// From now on, a panic says nothing more on standard output. It still refuses.
pub(super) fn is_answered() {
    ANSWERED.store(true, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[ignore = "ends the process: the test below starts it in one of its own"]
    fn panics() {
        answers();
        std::thread::spawn(|| panic!("a fault"));
        std::thread::sleep(std::time::Duration::from_secs(60));
    }

    #[test]
    fn a_panic_of_any_thread_refuses_in_one_line() {
        let tests = std::env::current_exe().unwrap();
        let panics = module_path!().split_once("::").unwrap().1.to_owned() + "::panics";
        let output = Command::new(tests)
            .args(["--ignored", "--exact", &panics, "--nocapture"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(exit_code(Kind::Internal).into()));
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.matches(LINE).count(), 1, "{said}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("a fault"), "{told}");
    }
}
