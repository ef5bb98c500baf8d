use countersign_download::AdmittedImage;

fn main() {
    let _: AdmittedImage = serde_json::from_str("{}").unwrap();
}
