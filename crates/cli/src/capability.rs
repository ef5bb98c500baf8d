//! What hardware this machine has for an image to use, by the files that drivers leave.
//!
//! A guess that `--capability` overrides. It opens no device and starts no program.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_download::Capability;

use crate::failure::{Failure, Kind};

/// A machine, as far as it matters here.
#[derive(Debug)]
struct Machine<'a> {
    /// As of [`std::env::consts::OS`].
    system: &'a str,
    /// As of [`std::env::consts::ARCH`].
    architecture: &'a str,
    /// What its paths are below.
    root: PathBuf,
}

/// PCI vendor ids, as the kernel writes them.
const AMD: &str = "0x1002";
const INTEL: &str = "0x8086";

/// The names that LocalAI has.
pub(crate) const KNOWN: [&str; 14] = [
    "default",
    "cpu",
    "nvidia",
    "nvidia-cuda-12",
    "nvidia-cuda-13",
    "nvidia-l4t",
    "nvidia-l4t-cuda-12",
    "nvidia-l4t-cuda-13",
    "amd",
    "intel",
    "metal",
    "metal-darwin-arm64",
    "darwin-x86",
    "vulkan",
];

/// This machine's capability, by LocalAI's names.
pub(crate) fn detect() -> Result<Capability, Failure> {
    let machine = Machine {
        system: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        root: "/".into(),
    };
    machine
        .capability()
        .parse()
        .map_err(|error| Failure::new(Kind::Internal, error))
}

impl Machine<'_> {
    fn capability(&self) -> &'static str {
        match (self.system, self.architecture) {
            ("macos", "aarch64") => return "metal",
            ("macos", _) => return "darwin-x86",
            _ => {}
        }
        if self.has_nvidia() {
            return self.nvidia();
        }
        if self.has("dev/kfd") || self.has_graphics_by(AMD) {
            return "amd";
        }
        if self.has_graphics_by(INTEL) {
            return "intel";
        }
        "default"
    }

    fn has_nvidia(&self) -> bool {
        self.has("proc/driver/nvidia/version")
            || self.has("dev/nvidiactl")
            || self.has("dev/nvidia0")
    }

    /// On ARM it is a Jetson or its like (L4T, Linux for Tegra). The version is that of the CUDA
    /// that is installed, which need not be any.
    fn nvidia(&self) -> &'static str {
        let cuda = |version: &str| self.has(&format!("usr/local/cuda-{version}"));
        match (self.architecture, cuda("13"), cuda("12")) {
            ("aarch64", true, _) => "nvidia-l4t-cuda-13",
            ("aarch64", false, true) => "nvidia-l4t-cuda-12",
            ("aarch64", false, false) => "nvidia-l4t",
            (_, true, _) => "nvidia-cuda-13",
            (_, false, true) => "nvidia-cuda-12",
            (_, false, false) => "nvidia",
        }
    }

    /// Whether a graphics device that renders is by this vendor.
    fn has_graphics_by(&self, vendor: &str) -> bool {
        let Ok(devices) = fs::read_dir(self.path("dev/dri")) else {
            return false;
        };
        devices.flatten().any(|device| {
            let name = device.file_name();
            let file = self.path("sys/class/drm").join(&name).join("device/vendor");
            name.to_string_lossy().starts_with("renderD")
                && fs::read_to_string(file).is_ok_and(|found| found.trim() == vendor)
        })
    }

    fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(Path::new(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is detected where these files are, with these contents.
    fn detected(system: &str, architecture: &str, files: &[(&str, &str)]) -> &'static str {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Machine {
            system,
            architecture,
            root: root.path().into(),
        }
        .capability()
    }

    const NVIDIA: (&str, &str) = ("proc/driver/nvidia/version", "NVRM version: 580");
    const CUDA_12: (&str, &str) = ("usr/local/cuda-12", "");
    const CUDA_13: (&str, &str) = ("usr/local/cuda-13", "");
    const RENDERER: (&str, &str) = ("dev/dri/renderD128", "");
    const VENDOR: &str = "sys/class/drm/renderD128/device/vendor";

    #[test]
    fn nvidia_is_known_by_its_driver_and_its_cuda() {
        let x86 = |files: &[(&str, &str)]| detected("linux", "x86_64", files);
        assert_eq!(x86(&[NVIDIA]), "nvidia");
        assert_eq!(x86(&[("dev/nvidia0", "")]), "nvidia");
        assert_eq!(x86(&[NVIDIA, CUDA_12]), "nvidia-cuda-12");
        assert_eq!(x86(&[NVIDIA, CUDA_12, CUDA_13]), "nvidia-cuda-13");
        assert_eq!(x86(&[CUDA_12]), "default");
        let arm = |files: &[(&str, &str)]| detected("linux", "aarch64", files);
        assert_eq!(arm(&[NVIDIA]), "nvidia-l4t");
        assert_eq!(arm(&[NVIDIA, CUDA_12]), "nvidia-l4t-cuda-12");
        assert_eq!(arm(&[NVIDIA, CUDA_13]), "nvidia-l4t-cuda-13");
    }

    #[test]
    fn amd_and_intel_are_known_by_their_device_s_vendor() {
        let linux = |files: &[(&str, &str)]| detected("linux", "x86_64", files);
        assert_eq!(linux(&[("dev/kfd", "")]), "amd");
        assert_eq!(linux(&[RENDERER, (VENDOR, "0x1002\n")]), "amd");
        assert_eq!(linux(&[RENDERER, (VENDOR, "0x8086\n")]), "intel");
        assert_eq!(linux(&[RENDERER, (VENDOR, "0x1af4\n")]), "default");
        // A device of the kernel's that this process, in a container, doesn't get.
        assert_eq!(linux(&[(VENDOR, "0x8086\n")]), "default");
    }

    #[test]
    fn nvidia_goes_before_what_the_processor_brings() {
        let files = [NVIDIA, RENDERER, (VENDOR, "0x8086\n")];
        assert_eq!(detected("linux", "x86_64", &files), "nvidia");
    }

    #[test]
    fn macs_have_metal_or_are_old() {
        assert_eq!(detected("macos", "aarch64", &[]), "metal");
        assert_eq!(detected("macos", "x86_64", &[]), "darwin-x86");
    }

    #[test]
    fn this_machine_has_some_capability() {
        assert!(detect().is_ok());
    }
}
