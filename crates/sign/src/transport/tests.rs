//! Where services are, and what is sent to them once.

use super::*;

#[test]
fn paths_go_below_a_base_with_or_without_its_slash() {
    for base in ["https://rekor.example/log", "https://rekor.example/log/"] {
        let url = below(&base.parse().unwrap(), "/api/v1");
        assert_eq!(url.as_str(), "https://rekor.example/log/api/v1");
    }
}

/// A copy could be sent a second time.
#[test]
fn what_counts_once_cannot_be_copied() {
    struct Probe<T>(std::marker::PhantomData<T>);
    trait OtherTypes {
        const CAN_BE_CLONED: bool = false;
    }
    impl<T> OtherTypes for Probe<T> {}
    // For a type that can be cloned, this one comes before the trait's.
    impl<T: Clone> Probe<T> {
        const CAN_BE_CLONED: bool = true;
    }
    let found = [
        Probe::<String>::CAN_BE_CLONED,
        Probe::<SingleUse>::CAN_BE_CLONED,
    ];
    assert_eq!(found, [true, false]);
}

#[test]
fn what_is_waited_for_is_told_without_what_the_service_said() {
    let failed = |reason| {
        FailedService {
            service: Service::Fulcio,
            reason,
        }
        .to_string()
    };
    let said = failed(NoAnswer::Status {
        status: 503,
        said: "hunter2".into(),
        location: None,
    });
    assert_eq!(
        said,
        "the certificate authority (Fulcio) failed (HTTP status 503)"
    );
    let answer_time = REQUEST;
    assert_eq!(
        failed(NoAnswer::Late { answer_time }),
        "the certificate authority (Fulcio) failed"
    );
}
