use countersign_download::AdmittedImage;

fn copy(image: &AdmittedImage) -> AdmittedImage {
    image.clone()
}

fn main() {}
