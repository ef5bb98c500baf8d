//! What layers over layers make, worked out in memory: what an unpacked image is compared with.
//!
//! It is written from the specification and from what umoci does, not from our code.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Links in one path, as in the kernel.
const LINKS: usize = 40;
const TOP: usize = 0;

/// An entry of an archive.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub mode: u32,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub enum Kind {
    File(Vec<u8>),
    Directory,
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
    /// A device or fifo.
    Special,
    Unknown(u8),
}

/// Why there is no tree: the layers are not to be accepted.
#[derive(Debug)]
pub struct Wrong(pub &'static str);

type Result<T> = std::result::Result<T, Wrong>;

/// All that can be seen of a tree, by path.
pub type Seen = BTreeMap<Vec<u8>, What>;

#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// `first` is the first of the names of the same file.
    File {
        content: Vec<u8>,
        mode: u32,
        first: Vec<u8>,
    },
    Directory {
        mode: u32,
    },
    Symlink(Vec<u8>),
}

#[derive(Debug)]
enum Node {
    Directory {
        children: BTreeMap<Vec<u8>, Child>,
        mode: u32,
    },
    File {
        content: Vec<u8>,
        mode: u32,
    },
    Symlink(Vec<u8>),
    Special,
}

#[derive(Debug, Clone, Copy)]
struct Child {
    node: usize,
    /// The layer that has an entry of this name.
    layer: usize,
}

/// The layers so far.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    layer: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![directory(0o755)],
            layer: 0,
        }
    }
}

fn directory(mode: u32) -> Node {
    Node::Directory {
        children: BTreeMap::new(),
        mode,
    }
}

impl Tree {
    /// Applies a layer.
    pub fn apply(&mut self, entries: &[Entry]) -> Result<()> {
        self.layer += 1;
        entries.iter().try_for_each(|entry| self.entry(entry))
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let path = lexical(&entry.name)?;
        let Some((leaf, above)) = path.split_last() else {
            return match entry.kind {
                Kind::Directory => Ok(self.set_mode(TOP, entry.mode | 0o700)),
                _ => Err(Wrong("the root is something else than a directory")),
            };
        };
        if leaf == b".wh..wh..opq" {
            return self.opaque(above);
        }
        if path.iter().any(|part| part.starts_with(b".wh..wh.")) {
            return Ok(());
        }
        if let Some(name) = leaf.strip_prefix(b".wh.") {
            return self.whiteout(above, name);
        }
        let node = match &entry.kind {
            Kind::Directory => return self.directory(above, leaf, entry.mode),
            Kind::Hardlink(target) => self.target(target)?,
            Kind::File(content) => self.add(Node::File {
                content: content.clone(),
                mode: entry.mode,
            }),
            Kind::Symlink(target) => self.add(Node::Symlink(target.clone())),
            Kind::Special => self.add(Node::Special),
            Kind::Unknown(_) => return Err(Wrong("an unknown type")),
        };
        let parent = self.parent(above)?;
        self.put(parent, leaf, node);
        Ok(())
    }

    /// A directory that is there stays, with all that is in it.
    fn directory(&mut self, above: &[&[u8]], leaf: &[u8], mode: u32) -> Result<()> {
        let parent = self.parent(above)?;
        let there = self.child(parent, leaf);
        let there = there.filter(|child| self.is_directory(child.node));
        let node = there.map_or_else(|| self.add(directory(0)), |child| child.node);
        self.set_mode(node, mode);
        self.put(parent, leaf, node);
        Ok(())
    }

    fn target(&mut self, name: &[u8]) -> Result<usize> {
        let path = lexical(name)?;
        let (leaf, above) = path.split_last().ok_or(Wrong("a link to the root"))?;
        let parent = self.find(above)?.ok_or(Wrong("a link to nothing"))?;
        let child = self.child(parent, leaf).ok_or(Wrong("a link to nothing"))?;
        if self.is_directory(child.node) {
            Err(Wrong("a hard link to a directory"))
        } else {
            Ok(child.node)
        }
    }

    fn whiteout(&mut self, above: &[&[u8]], leaf: &[u8]) -> Result<()> {
        if matches!(leaf, b"" | b"." | b"..") {
            return Err(Wrong("a whiteout of no name"));
        }
        let Some(parent) = self.find(above)? else {
            return Ok(());
        };
        let Some(child) = self.child(parent, leaf) else {
            return Ok(());
        };
        if self.is_of_layer(child) {
            return Err(Wrong("a whiteout of what its own layer has"));
        }
        self.children(parent).remove(leaf);
        Ok(())
    }

    fn opaque(&mut self, path: &[&[u8]]) -> Result<()> {
        match self.find(path)? {
            Some(node) => self.clear(node),
            None => Ok(()),
        }
    }

    /// Removes what lower layers have in a directory.
    fn clear(&mut self, node: usize) -> Result<()> {
        for (name, child) in self.children(node).clone() {
            if child.layer == self.layer {
                if self.is_directory(child.node) {
                    self.clear(child.node)?;
                }
            } else if self.is_of_layer(child) {
                return Err(Wrong("a layer writes into a directory that it empties"));
            } else {
                self.children(node).remove(&name);
            }
        }
        Ok(())
    }

    /// Whether this layer has an entry for it, or for something in it.
    fn is_of_layer(&self, child: Child) -> bool {
        child.layer == self.layer
            || matches!(&self.nodes[child.node], Node::Directory { children, .. }
                if children.values().any(|child| self.is_of_layer(*child)))
    }

    /// The directory that a path leads to; what is missing is made.
    fn parent(&mut self, path: &[&[u8]]) -> Result<usize> {
        if let Some(found) = self.find(path)? {
            return Ok(found);
        }
        let (leaf, above) = path.split_last().ok_or(Wrong("no root"))?;
        let parent = self.parent(above)?;
        if self.child(parent, leaf).is_some() {
            return Err(Wrong("a way through what is no directory"));
        }
        let node = self.add(directory(0o755));
        // No entry is for it.
        let child = Child { node, layer: 0 };
        self.children(parent).insert(leaf.to_vec(), child);
        Ok(node)
    }

    /// The directory that a path leads to, through links as in a container.
    fn find(&self, path: &[&[u8]]) -> Result<Option<usize>> {
        let mut pending: Vec<Vec<u8>> = path.iter().rev().map(|part| part.to_vec()).collect();
        let mut way = vec![TOP];
        let mut links = 0;
        while let Some(part) = pending.pop() {
            let here = *way.last().expect("never empty");
            if matches!(&part[..], b"" | b".") {
                continue;
            }
            if part == b".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(child) = self.child(here, &part) else {
                return Ok(None);
            };
            match &self.nodes[child.node] {
                Node::Directory { .. } => way.push(child.node),
                Node::Symlink(target) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Wrong("a circle of links"));
                    }
                    if target.starts_with(b"/") {
                        way.truncate(1);
                    }
                    let parts = target.split(|&byte| byte == b'/').rev();
                    pending.extend(parts.map(<[u8]>::to_vec));
                }
                Node::File { .. } | Node::Special => return Ok(None),
            }
        }
        Ok(way.pop())
    }

    fn put(&mut self, parent: usize, leaf: &[u8], node: usize) {
        let layer = self.layer;
        let child = Child { node, layer };
        self.children(parent).insert(leaf.to_vec(), child);
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn child(&self, parent: usize, leaf: &[u8]) -> Option<Child> {
        match &self.nodes[parent] {
            Node::Directory { children, .. } => children.get(leaf).copied(),
            _ => None,
        }
    }

    fn children(&mut self, node: usize) -> &mut BTreeMap<Vec<u8>, Child> {
        match &mut self.nodes[node] {
            Node::Directory { children, .. } => children,
            _ => panic!("it is a directory"),
        }
    }

    fn is_directory(&self, node: usize) -> bool {
        matches!(self.nodes[node], Node::Directory { .. })
    }

    fn set_mode(&mut self, node: usize, new: u32) {
        if let Node::Directory { mode, .. } = &mut self.nodes[node] {
            *mode = new;
        }
    }

    /// All that an unpacked image shows of it.
    pub fn seen(&self) -> Seen {
        let (mut seen, mut firsts) = (Seen::new(), HashMap::new());
        self.see(TOP, &[], &mut seen, &mut firsts);
        seen
    }

    fn see(&self, node: usize, path: &[u8], seen: &mut Seen, firsts: &mut HashMap<usize, Vec<u8>>) {
        match &self.nodes[node] {
            Node::Directory { children, mode } => {
                seen.insert(path.to_vec(), What::Directory { mode: kept(*mode) });
                for (name, child) in children {
                    self.see(child.node, &[path, b"/", name].concat(), seen, firsts);
                }
            }
            Node::File { content, mode } => {
                let first = firsts.entry(node).or_insert_with(|| path.to_vec()).clone();
                let (content, mode) = (content.clone(), kept(*mode));
                let file = What::File {
                    content,
                    mode,
                    first,
                };
                seen.insert(path.to_vec(), file);
            }
            Node::Symlink(target) => {
                seen.insert(path.to_vec(), What::Symlink(target.clone()));
            }
            Node::Special => {}
        }
    }
}

/// The permissions that we keep of an entry's.
fn kept(mode: u32) -> u32 {
    mode & 0o755
}

/// The components of a name. `..` takes back the one before it.
fn lexical(name: &[u8]) -> Result<Vec<&[u8]>> {
    let mut path = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                path.pop().ok_or(Wrong("a name that leads out"))?;
            }
            part => path.push(part),
        }
    }
    Ok(path)
}

/// What is below a directory.
pub fn seen_at(root: &Path) -> Seen {
    let (mut seen, mut firsts) = (Seen::new(), HashMap::new());
    look(root, &[], &mut seen, &mut firsts);
    seen
}

fn look(at: &Path, path: &[u8], seen: &mut Seen, firsts: &mut HashMap<u64, Vec<u8>>) {
    let metadata = fs::symlink_metadata(at).expect("it is there");
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_dir() {
        seen.insert(path.to_vec(), What::Directory { mode });
        let entries = fs::read_dir(at).expect("it can be read");
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            let below = [path, b"/", name.as_bytes()].concat();
            look(&at.join(&name), &below, seen, firsts);
        }
    } else if metadata.is_symlink() {
        let target = fs::read_link(at).expect("it is a link");
        let target = target.as_os_str().as_bytes().to_vec();
        seen.insert(path.to_vec(), What::Symlink(target));
    } else {
        let first = firsts.entry(metadata.ino());
        let first = first.or_insert_with(|| path.to_vec()).clone();
        let content = fs::read(at).expect("it can be read");
        let file = What::File {
            content,
            mode,
            first,
        };
        seen.insert(path.to_vec(), file);
    }
}
