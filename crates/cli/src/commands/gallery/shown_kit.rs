//! What `countersign gallery show` says of a kit beside what it says of galleries.

use countersign_download::Galleries;
use countersign_oci::excerpt;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::kit::OpenKit;

/// What a kit has.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShownKit")]
pub(super) struct JsonKit {
    /// The kit, as it was named.
    reference: String,
    /// Names of entries that it has an image of.
    has: Vec<String>,
    /// Names of entries that it has none of, or one whose manifest is lost or damaged.
    lacks: Vec<String>,
    /// The platforms of its images, of all together.
    platforms: Vec<String>,
}

impl JsonKit {
    pub(super) async fn new(kit: &OpenKit, galleries: &Galleries) -> Self {
        let (has, lacks) = kit.entries(galleries);
        Self {
            reference: kit.reference.to_string(),
            has,
            lacks,
            platforms: kit.platforms().await.into_iter().collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let Self {
            reference,
            has,
            lacks,
            platforms,
        } = self;
        let mut text = format!("kit {reference}\n");
        for (names, what) in [
            (has, "has images of"),
            (lacks, "has no images of"),
            (platforms, "its images are for"),
        ] {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| excerpt(name)).collect();
                text.push_str(&format!("  {what} {}\n", names.join(", ")));
            }
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::JsonKit;

    #[test]
    fn a_name_writes_no_line_of_its_own() {
        let kit = JsonKit {
            reference: "ocifile:///srv/kit".to_owned(),
            has: vec!["chat".to_owned(), "x\nkit ocifile:///other".to_owned()],
            lacks: vec!["a".repeat(100_000)],
            platforms: Vec::new(),
        };
        let text = kit.text();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(
            text.contains("  has images of chat, x kit ocifile:///other\n"),
            "{text}"
        );
        assert!(text.len() < 1000, "{}", text.len());
    }
}
