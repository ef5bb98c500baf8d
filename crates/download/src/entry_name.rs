//! The name of a gallery's entry as a person writes it, with or without its gallery.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The name of an entry, or `gallery@name`. The gallery ends at the first `@`.
///
/// Whether there is such a gallery or such an entry is not checked: only a gallery's index says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName {
    gallery: Option<String>,
    name: String,
}

impl EntryName {
    /// The entry of this name in this gallery.
    pub fn in_gallery(gallery: &str, name: &str) -> Self {
        Self {
            gallery: Some(gallery.to_owned()),
            name: name.to_owned(),
        }
    }

    /// The gallery, where one is named.
    pub fn gallery(&self) -> Option<&str> {
        self.gallery.as_deref()
    }

    /// The name without the gallery.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Every text can be read.
impl From<&str> for EntryName {
    fn from(text: &str) -> Self {
        match text.split_once('@') {
            Some((gallery, name)) => Self::in_gallery(gallery, name),
            None => Self {
                gallery: None,
                name: text.to_owned(),
            },
        }
    }
}

impl FromStr for EntryName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

/// As it is read.
impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(gallery) = &self.gallery {
            write!(f, "{gallery}@")?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gallery_stands_before_the_first_at_sign_and_every_text_reads_back() {
        for (text, gallery, name) in [
            ("chat", None, "chat"),
            ("acme@chat", Some("acme"), "chat"),
            ("acme@chat@2", Some("acme"), "chat@2"),
            ("@chat", Some(""), "chat"),
            ("acme@", Some("acme"), ""),
            ("", None, ""),
        ] {
            let Ok(read) = text.parse::<EntryName>();
            assert_eq!((read.gallery(), read.name()), (gallery, name), "{text}");
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_gallery_that_is_given_reads_back_too() {
        let name = EntryName::in_gallery("acme", "chat");
        assert_eq!(EntryName::from(&*name.to_string()), name);
    }
}
