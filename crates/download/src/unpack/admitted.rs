//! Unpacks an image that was admitted: what was fetched ahead of that, or what is fetched now.

use std::sync::Arc;

use super::UnpackedTree;
use super::ahead::{Ahead, Fetched};
use super::image::{Fetching, ImageContent};
use crate::admitted::AdmittedImage;
use crate::error::Error;
use crate::hold::stage;
use crate::target::Held;

impl Fetching<'_> {
    /// Fetches an admitted image and unpacks it into a staging directory. From there it may be moved into
    /// place. What was fetched `ahead` is not fetched again.
    pub(crate) async fn unpack(
        self,
        image: &AdmittedImage,
        held: &Arc<Held>,
        ahead: Option<Ahead<'_>>,
    ) -> Result<UnpackedTree, Error> {
        let content = ImageContent {
            reference: image.reference(),
            manifest: image.manifest(),
            with: self,
        };
        let ahead = ahead.and_then(|ahead| ahead.into_fetched(image.reference().digest()));
        let (staging, (extractor, guard)) = match ahead {
            Some(Fetched {
                staging,
                fetch,
                arriving,
            }) => {
                let unpacked = Box::pin(content.unpack(&staging, fetch, arriving)).await?;
                (staging, unpacked)
            }
            None => {
                let staging = stage(held).await?;
                let unpacked = Box::pin(content.fetch_and_unpack(&staging)).await?;
                (staging, unpacked)
            }
        };
        UnpackedTree::new(staging, extractor, guard).await
    }
}
