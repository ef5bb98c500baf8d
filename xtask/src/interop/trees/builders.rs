//! Images by builders, layers over layers.

use std::fs;

use anyhow::ensure;

use super::Trees;
use crate::command::Command;
use crate::interop::ledger::Ledger;
use crate::ledger::Seen;

/// The full tree as a layer, which the first case makes.
const LOWER: &str = "lower.tar";

/// Compares what each builder makes.
pub(super) fn cases(trees: &Trees, ledger: &mut Ledger) {
    let title = "crane append, through a link of the lower layer and with a device over a file";
    ledger.case(title, || appended(trees));
    ledger.case("umoci insert, with whiteouts", || inserted(trees));
    ledger.case("buildah, with a removal", || built(trees));
    ledger.case("ko over a base image", || by_ko(trees));
}

/// A character device over `nothing`, as overlayfs says that the file is deleted.
const DEVICE: &str = "import sys, tarfile\n\
                      device = tarfile.TarInfo('nothing')\n\
                      device.type = tarfile.CHRTYPE\n\
                      with tarfile.open(sys.argv[1], 'a') as archive:\n    \
                      archive.addfile(device)\n";

/// A layer that writes through an absolute link, and whose device deletes a file.
fn appended(trees: &Trees) -> anyhow::Result<String> {
    let top = trees.site.home.join("upper");
    fs::create_dir_all(top.join("var/run"))?;
    fs::write(top.join("var/run/x.pid"), "7")?;
    fs::write(top.join("third"), "another")?;
    let tar = |arguments: &[&str]| {
        let tar = Command::new("tar").inherit_environment();
        trees.site.home.succeed(tar.args(arguments))
    };
    tar(&["-C", "full", "-cf", LOWER, "."])?;
    // The file alone: with its directories, the link would be replaced by one.
    tar(&["-C", "upper", "-cf", "upper.tar", "var/run/x.pid", "third"])?;
    // Nobody but root can make one, as the peers do.
    let deletes = trees.programs.is_root;
    if deletes {
        let python = Command::new("python3").inherit_environment();
        trees
            .site
            .home
            .succeed(python.args(["-c", DEVICE, "upper.tar"]))?;
    }
    let image = trees.append(None, &[LOWER, "upper.tar"])?;
    let unpacked = trees.unpack(&image)?;
    ensure!(unpacked.ours.has("run/x.pid"), "run/x.pid is missing");
    ensure!(
        unpacked.ours.has("nothing") != deletes,
        "`nothing` was to be deleted"
    );
    unpacked.all_same()
}

/// Layers that umoci leaves without padding and zeros at their end.
fn inserted(trees: &Trees) -> anyhow::Result<String> {
    let umoci = |arguments: &[&str]| {
        let command = Command::new(&trees.programs.umoci).args(arguments);
        trees.site.home.succeed(command)
    };
    umoci(&["init", "--layout", "umoci"])?;
    umoci(&["new", "--image", "umoci:v1"])?;
    umoci(&[
        "config",
        "--image",
        "umoci:v1",
        "--os",
        "linux",
        "--architecture",
        "amd64",
    ])?;
    let insert = |arguments: &[&str]| {
        let rootless: &[&str] = if trees.programs.is_root {
            &[]
        } else {
            &["--rootless"]
        };
        umoci(&[&["insert"], rootless, &["--image", "umoci:v1"], arguments].concat())
    };
    insert(&["full", "/top"])?;
    insert(&["plain", "/other"])?;
    insert(&["--whiteout", "/top/bin/tool"])?;
    insert(&["--opaque", "plain/bin", "/other/bin"])?;
    let image = push(trees, "umoci:v1")?;
    let unpacked = trees.unpack(&image)?;
    ensure!(
        !unpacked.ours.has("top/bin/tool"),
        "top/bin/tool is still there"
    );
    ensure!(
        unpacked.ours.has("top/bin/second"),
        "top/bin/second is missing"
    );
    unpacked.all_same()
}

/// buildah, without a daemon; it needs to be root, or a user namespace, which CI has not.
fn built(trees: &Trees) -> anyhow::Result<Seen> {
    if !trees.programs.is_root {
        return Ok(Seen::Skipped("buildah needs to be root here"));
    }
    let policy = trees.site.home.join("policy.json");
    fs::write(
        &policy,
        r#"{"default": [{"type": "insecureAcceptAnything"}]}"#,
    )?;
    let buildah = |arguments: &[&str]| {
        let state = ["--root", "buildah/root", "--runroot", "buildah/run"];
        let state = state.map(|part| match part.strip_prefix("buildah/") {
            Some(_) => trees.site.home.join(part).display().to_string(),
            None => part.to_owned(),
        });
        let command = trees.programs.debian("buildah").args(state);
        trees
            .site
            .home
            .succeed(command.args(["--storage-driver", "vfs"]).args(arguments))
    };
    let base = trees.append(None, &[LOWER])?;
    let policy = policy.display().to_string();
    let pull = [
        "from",
        "--signature-policy",
        &policy,
        "--tls-verify=false",
        "--name",
        "built",
    ];
    buildah(&[&pull[..], &[&format!("docker://{base}")]].concat())?;
    buildah(&["copy", "built", "plain", "/copied"])?;
    let mounted = buildah(&["mount", "built"])?.stdout;
    let mounted = std::path::Path::new(mounted.trim());
    fs::remove_file(mounted.join("private"))?;
    fs::remove_dir_all(mounted.join("bin"))?;
    buildah(&["umount", "built"])?;
    let image = trees.name();
    let commit = [
        "commit",
        "--signature-policy",
        &policy,
        "--tls-verify=false",
        "built",
    ];
    buildah(&[&commit[..], &[&format!("docker://{image}")]].concat())?;
    let unpacked = trees.unpack(&image)?;
    ensure!(!unpacked.ours.has("private"), "private is still there");
    ensure!(!unpacked.ours.has("bin"), "bin is still there");
    ensure!(unpacked.ours.has("copied/third"), "copied/third is missing");
    Ok(unpacked.all_same()?.into())
}

/// A Go program by ko, whose layers have absolute names.
fn by_ko(trees: &Trees) -> anyhow::Result<String> {
    let base = trees.append(None, &[LOWER])?;
    let module = trees.site.home.join("app");
    fs::create_dir_all(module.join("kodata"))?;
    fs::write(module.join("go.mod"), "module example.com/app\n\ngo 1.24\n")?;
    fs::write(module.join("main.go"), "package main\n\nfunc main() {}\n")?;
    fs::write(module.join("kodata/data"), "data")?;
    let repository = trees.name();
    let (repository, _) = repository.rsplit_once(':').unwrap_or((&repository, ""));
    let command = Command::new(&trees.programs.ko)
        .inherit_environment()
        .args([
            "build",
            "--bare",
            "--sbom=none",
            "--tags=v1",
            "--platform=linux/amd64",
        ])
        .args(["--insecure-registry", "."])
        .env("KO_DOCKER_REPO", repository)
        .env("KO_DEFAULTBASEIMAGE", &base)
        .env("GOFLAGS", "-buildvcs=false")
        .env("CGO_ENABLED", "0");
    println!("  $ {}", command.line());
    command.directory(module).run()?.success()?;
    let unpacked = trees.unpack(&format!("{repository}:v1"))?;
    ensure!(unpacked.ours.has("ko-app/app"), "ko-app/app is missing");
    ensure!(
        unpacked.ours.has("var/run/ko/data") || unpacked.ours.has("run/ko/data"),
        "kodata is missing"
    );
    unpacked.all_same()
}

/// Pushes the image of a layout on disk.
fn push(trees: &Trees, layout: &str) -> anyhow::Result<String> {
    let image = trees.name();
    let copy = trees.programs.skopeo.command().args([
        "copy",
        "--insecure-policy",
        "--dest-tls-verify=false",
        &format!("oci:{layout}"),
        &format!("docker://{image}"),
    ]);
    trees.site.home.succeed(copy)?;
    Ok(image)
}
