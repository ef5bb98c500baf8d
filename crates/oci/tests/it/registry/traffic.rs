//! How many requests a host gets: never more than it takes.

use std::num::NonZeroUsize;
use std::time::Duration;

use countersign_oci::http::Traffic;
use countersign_oci::{Options, Registry};
use countersign_sandbox::image::Image;
use countersign_sandbox::{Effect, Fault, RateLimit, RegistryOptions, RegistryServer, ToldBy};
use futures_util::future::join_all;

use super::common::options;

const IMAGES: usize = 40;

async fn registry(rate_limit: Option<RateLimit>) -> RegistryServer {
    let options = RegistryOptions {
        rate_limit,
        ..RegistryOptions::default()
    };
    let registry = RegistryServer::start(options).await.unwrap();
    let image = Image::builder("linux/amd64".parse().unwrap()).build();
    image.push(&registry, "app", Some("v1"));
    registry
}

/// Two clients ask many times at once. All succeed.
async fn ask(registry: &RegistryServer, options: &Options) {
    let clients = [(); 2].map(|()| Registry::new(options.clone()).unwrap());
    let image = registry.reference("app:v1").unwrap();
    let asked = clients.iter().cycle().take(IMAGES);
    for resolved in join_all(asked.map(|client| client.resolve(&image))).await {
        resolved.unwrap();
    }
}

#[tokio::test]
async fn clients_of_the_same_options_share_the_number_of_open_requests() {
    let registry = registry(None).await;
    registry.add_fault(Fault::on("*", Effect::Delay(Duration::from_millis(5))));
    let options = Options {
        traffic: Traffic::new(NonZeroUsize::new(3).unwrap(), None),
        ..options()
    };
    ask(&registry, &options).await;
    assert_eq!(registry.requests().len(), IMAGES);
    assert!(registry.most_at_once() <= 3, "{}", registry.most_at_once());
}

#[tokio::test]
async fn after_429_nobody_asks_before_the_time_that_the_host_gives() {
    let registry = registry(Some(RateLimit {
        requests: 16,
        seconds: 1,
        told_by: ToldBy::RetryAfter,
    }))
    .await;
    ask(&registry, &options()).await;
    // Those that were open when the first one was refused, and fewer each time.
    assert!(registry.refused() <= 32, "{}", registry.refused());
    assert!(registry.refused() > 0);
}

#[tokio::test]
async fn who_is_told_what_is_left_is_never_refused() {
    let registry = registry(Some(RateLimit {
        requests: 16,
        seconds: 1,
        told_by: ToldBy::RateLimit,
    }))
    .await;
    let options = Options {
        traffic: Traffic::new(NonZeroUsize::new(8).unwrap(), None),
        ..options()
    };
    ask(&registry, &options).await;
    assert_eq!(registry.requests().len(), IMAGES);
    assert_eq!(registry.refused(), 0);
}
