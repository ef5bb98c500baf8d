//! What a locked plan takes for a proof: what the policy accepts by the locked signer alone.
//!
//! | by the locked signer alone | by the whole policy | what comes of it |
//! |---|---|---|
//! | accepted | not asked | accepted, if the proof is by the locked signers |
//! | refused | accepted | who has signed it instead; where that can't be said, the refusal |
//! | refused | anything else | the refusal |
//! | any other error | not asked | that error |

use crate::error::Error;

/// Judges by the policy for the locked signer alone. `by_others` judges by the whole policy; `None` if that is the same one.
/// It is only asked to say who else has signed: nothing is accepted by it. `check` refuses what is by another signer
/// than the locked ones.
pub(super) async fn by_locked_signer<T>(
    by_locked: impl Future<Output = Result<T, Error>>,
    by_others: Option<impl Future<Output = Result<T, Error>>>,
    check: impl Fn(&T) -> Result<(), Error>,
) -> Result<T, Error> {
    let error = match by_locked.await {
        Ok(found) => return check(&found).map(|()| found),
        Err(error) => error,
    };
    let is_refusal = matches!(&error, Error::Verify(error) if error.is_refusal());
    if let Some(by_others) = by_others.filter(|_| is_refusal)
        && let Ok(found) = by_others.await
    {
        check(&found)?;
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use countersign_oci::samples::digest;
    use countersign_verify::Error as VerifyError;
    use countersign_verify::samples::refusal;
    use futures_util::FutureExt as _;

    use super::*;

    #[derive(Debug)]
    enum Signer {
        Locked,
        Other,
    }

    /// What judging by one of the policies comes to.
    type Judging = fn() -> Result<Signer, Error>;

    fn locked() -> Result<Signer, Error> {
        Ok(Signer::Locked)
    }

    fn other() -> Result<Signer, Error> {
        Ok(Signer::Other)
    }

    fn refused() -> Result<Signer, Error> {
        let refusal = Box::new(refusal(Vec::new()));
        Err(Error::Verify(VerifyError::Refused(refusal)))
    }

    fn failed() -> Result<Signer, Error> {
        Err(Error::Cancelled)
    }

    fn check(signer: &Signer) -> Result<(), Error> {
        match signer {
            Signer::Locked => Ok(()),
            Signer::Other => Err(Error::OtherContent {
                expected: digest(),
                found: digest(),
            }),
        }
    }

    fn said(result: &Result<Signer, Error>) -> &'static str {
        match result {
            Ok(Signer::Locked) => "accepted",
            Ok(Signer::Other) => "accepted, by another signer",
            Err(Error::OtherContent { .. }) => "another signer",
            Err(Error::Verify(_)) => "refused",
            Err(_) => "failed",
        }
    }

    #[test]
    fn the_whole_policy_accepts_nothing_and_names_another_signer() {
        let rows: [(Judging, Option<Judging>, &str, u32); 9] = [
            (locked, Some(other), "accepted", 0),
            (locked, None, "accepted", 0),
            (other, Some(locked), "another signer", 0),
            (refused, Some(other), "another signer", 1),
            (refused, Some(locked), "refused", 1),
            (refused, Some(refused), "refused", 1),
            (refused, Some(failed), "refused", 1),
            (refused, None, "refused", 0),
            (failed, Some(locked), "failed", 0),
        ];
        for (position, (by_locked, by_others, expected, asked)) in rows.into_iter().enumerate() {
            let times = Cell::new(0);
            let by_others = by_others.map(|judge| {
                let times = &times;
                async move {
                    times.set(times.get() + 1);
                    judge()
                }
            });
            let judged = by_locked_signer(async move { by_locked() }, by_others, check);
            let judged = judged.now_or_never().unwrap();
            assert_eq!(said(&judged), expected, "row {position}");
            assert_eq!(times.get(), asked, "row {position}");
        }
    }
}
