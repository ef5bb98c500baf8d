//! A gallery that has another name by now, in the file that an entry was installed by.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_file_that_was_named_is_not_told_as_another() {
    let shop = Shop::with_two_galleries().await;
    let file = shop.directory.path().join("galleries.yaml");
    let galleries = fs::read_to_string(&file).unwrap();
    let renamed = galleries.replace("name: acme", "name: renamed");
    assert_ne!(galleries, renamed);
    shop.write_private("galleries.yaml", &renamed);
    for named in [
        "galleries.yaml",
        "elsewhere/../galleries.yaml",
        file.to_str().unwrap(),
    ] {
        let words = ["upgrade", "--gallery", named, "chat"];
        let output = shop.as_user(&[&words[..], &TRUST].concat()).output();
        let output = output.unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{named}: {err}");
        let says = "`countersign remove chat` takes away what the galleries no longer have";
        assert!(err.contains(says), "{named}: {err}");
        assert!(!err.contains("was installed by"), "{named}: {err}");
    }
}
