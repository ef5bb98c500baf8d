//! Images of many files. The same each time.

use countersign_sandbox::image::{Compression, Image, Layer};

/// Sizes of the files, in KiB, over and over: 24 on average.
const SIZES: [usize; 6] = [2, 4, 8, 16, 12, 100];
/// Files of one directory.
const DIRECTORY: usize = 50;
/// Different words in the files.
const WORDS: usize = 4096;

/// What an image is made of.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) repository: &'static str,
    layers: usize,
    /// Files of all layers together, at full size.
    files: usize,
    compression: Compression,
}

/// The images that are installed. At full size, the first three have 700 MB of files.
pub(super) const SHAPES: [Shape; 4] = [
    Shape {
        name: "4 layers, gzip",
        repository: "install/gzip",
        layers: 4,
        files: 29_000,
        compression: Compression::Gzip,
    },
    Shape {
        name: "4 layers, zstd",
        repository: "install/zstd",
        layers: 4,
        files: 29_000,
        compression: Compression::Zstd,
    },
    Shape {
        name: "1 layer, gzip",
        repository: "install/one",
        layers: 1,
        files: 29_000,
        compression: Compression::Gzip,
    },
    Shape {
        name: "20 layers, gzip",
        repository: "install/many",
        layers: 20,
        files: 12_000,
        compression: Compression::Gzip,
    },
];

/// An image, and the last file in it.
pub(super) struct Made {
    pub(super) image: Image,
    pub(super) last: String,
}

impl Shape {
    /// Makes the image at `scale` percent of its full size.
    ///
    /// # Errors
    /// None in practice: the platform is a valid one.
    pub(super) fn image(&self, scale: usize) -> anyhow::Result<Made> {
        let files = (self.files * scale / 100 / self.layers).max(1);
        let mut text = Text::new();
        let mut image = Image::builder("linux/amd64".parse()?);
        let mut last = String::new();
        for layer in 0..self.layers {
            let mut builder = Layer::builder();
            for file in 0..files {
                let kib = SIZES.get(file % SIZES.len()).copied().unwrap_or(1);
                last = format!("layer{layer}/{}/{file}", file / DIRECTORY);
                builder = builder.file(&last, text.next(kib << 10), 0o644);
            }
            image = image.layer(builder.build(self.compression));
        }
        Ok(Made {
            image: image.build(),
            last,
        })
    }
}

/// Text of random words, which compresses like programs and sources do.
struct Text {
    words: Vec<Vec<u8>>,
    /// Of a xorshift generator (Marsaglia, 2003).
    state: u64,
}

impl Text {
    fn new() -> Self {
        let mut text = Self {
            words: Vec::new(),
            state: 0x9e37_79b9_7f4a_7c15,
        };
        for _ in 0..WORDS {
            let number = text.random();
            let length = 3 + (number >> 60) as usize;
            let word = number.to_le_bytes().repeat(3);
            text.words.push(word.into_iter().take(length).collect());
        }
        text
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn next(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 32);
        while bytes.len() < length {
            let index = self.random() as usize % WORDS;
            bytes.extend_from_slice(self.words.get(index).map_or(b" ", Vec::as_slice));
        }
        bytes.truncate(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_the_same_each_time_and_has_its_layers() {
        for shape in &SHAPES {
            let [first, second] = [(); 2].map(|()| shape.image(1).unwrap());
            assert_eq!(first.image.digest(), second.image.digest());
            assert_eq!(first.image.layers().len(), shape.layers);
            assert!(
                first
                    .last
                    .starts_with(&format!("layer{}/", shape.layers - 1))
            );
        }
    }
}
