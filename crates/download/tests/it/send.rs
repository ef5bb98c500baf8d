//! Futures of the library may move between threads: who embeds it spawns them.

use std::path::Path;

use countersign_download::{
    AuditSubject, Auditor, GalleryClient, InstallRequest, Installer, Kit, Name, Plan,
    RemoveOptions, Store, Unrecorded, check,
};
use countersign_oci::{LayoutDraft, LayoutPath, Registry};
use countersign_policy::Gallery;
use countersign_verify::Verifier;

/// Compiles for futures that are `Send`, and makes nothing of them.
fn sendable<F: Future + Send>(_: F) {}

/// Never called: that it compiles is the test.
#[expect(dead_code, reason = "it is there to be compiled")]
fn an_installer_s_futures<'a>(
    (installer, store): (&Installer<Verifier>, &Store),
    (plan, request): (&Plan, impl Fn() -> InstallRequest<'a>),
    (name, directory): (&Name, &Path),
    registry: &Registry,
    verifier: &Verifier,
) {
    sendable(installer.install(request(), directory));
    sendable(installer.preview(request(), directory));
    sendable(store.install(installer, request()));
    sendable(store.preview(installer, request()));
    sendable(store.list());
    sendable(store.installation(name));
    sendable(store.removable(name, Unrecorded::Refuse));
    sendable(store.remove(name, RemoveOptions::default(), &|_| {}));
    sendable(plan.prove(registry, verifier));
    sendable(check(directory));
}

/// Never called, too.
#[expect(dead_code, reason = "it is there to be compiled")]
fn other_futures(
    (client, gallery): (&GalleryClient, &Gallery),
    (auditor, subject): (&Auditor<Verifier>, &AuditSubject),
    (registry, path, draft, kit): (&Registry, &LayoutPath, &LayoutDraft, &Kit),
) {
    sendable(client.fetch(gallery, Path::new("")));
    sendable(auditor.judge(subject));
    sendable(Kit::read(registry, path, None));
    sendable(kit.write(draft));
}
