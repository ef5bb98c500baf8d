use countersign_download::AdmittedImage;

fn main() {
    let _: AdmittedImage = Default::default();
}
