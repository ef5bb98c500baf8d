// Peers lets containerd and containers/storage unpack an image, each by its own code, and Go's
// archive/tar write an archive.
package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containers/storage/pkg/chrootarchive"
	"github.com/containers/storage/pkg/reexec"
)

func main() {
	// containers/storage runs this program again, in a root directory of its own.
	if reexec.Init() {
		return
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 4 && arguments[0] == "unpack":
		return unpack(arguments[1], arguments[2], arguments[3])
	case len(arguments) == 4 && arguments[0] == "write":
		return write(arguments[1], arguments[2], arguments[3])
	default:
		return errors.New("usage: peers unpack containerd|storage LAYOUT ROOT, or peers write pax|gnu|open DIRECTORY FILE")
	}
}

type descriptor struct {
	Digest string `json:"digest"`
}

// unpack applies the layers of the only image in an image layout.
func unpack(reader, layout, root string) error {
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	if err := read(filepath.Join(layout, "index.json"), &index); err != nil {
		return err
	}
	if len(index.Manifests) != 1 {
		return fmt.Errorf("expected one image, found %d", len(index.Manifests))
	}
	var manifest struct {
		Layers []descriptor `json:"layers"`
	}
	if err := read(blob(layout, index.Manifests[0]), &manifest); err != nil {
		return err
	}
	for _, layer := range manifest.Layers {
		if err := apply(reader, blob(layout, layer), root); err != nil {
			return fmt.Errorf("layer %s: %w", layer.Digest, err)
		}
	}
	return nil
}

func apply(reader, path, root string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	switch reader {
	case "containerd":
		stream, err := compression.DecompressStream(file)
		if err != nil {
			return err
		}
		defer stream.Close()
		var options []archive.ApplyOpt
		if os.Geteuid() != 0 {
			options = append(options, archive.WithNoSameOwner())
		}
		_, err = archive.Apply(context.Background(), root, stream, options...)
		return err
	case "storage":
		_, err := chrootarchive.ApplyLayer(root, file)
		return err
	default:
		return fmt.Errorf("unknown reader %q", reader)
	}
}

func read(path string, into any) error {
	bytes, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(bytes, into)
}

func blob(layout string, of descriptor) string {
	algorithm, hex, _ := strings.Cut(of.Digest, ":")
	return filepath.Join(layout, "blobs", algorithm, hex)
}

// write archives a directory. In the format "open" the archive is never closed: it has neither the
// padding of its last entry nor zeros at its end, as some builders leave it.
func write(format, directory, path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	writer := tar.NewWriter(file)
	links := map[[2]uint64]string{}
	err = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == directory {
			return err
		}
		name, err := filepath.Rel(directory, path)
		if err != nil {
			return err
		}
		return add(writer, format, path, name, links)
	})
	if err != nil || format == "open" {
		return err
	}
	return writer.Close()
}

func add(writer *tar.Writer, format, path, name string, links map[[2]uint64]string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name = name
	if info.IsDir() {
		header.Name += "/"
	}
	header.Format = tar.FormatPAX
	if format == "gnu" {
		header.Format = tar.FormatGNU
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && info.Mode().IsRegular() && stat.Nlink > 1 {
		inode := [2]uint64{uint64(stat.Dev), stat.Ino}
		if first, known := links[inode]; known {
			header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
		} else {
			links[inode] = header.Name
		}
	}
	if err := writer.WriteHeader(header); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if header.Typeflag != tar.TypeReg {
		return nil
	}
	content, err := os.Open(path)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(writer, content)
	return err
}
