// Reads archives with Go's archive/tar, on which umoci, containerd and containers/storage build, and says what it
// found. It is another reader of the same bytes, to be compared with ours.
//
// Standard input has archives, each after its length (4 bytes, the most significant first). For each, standard output
// gets its entries: a byte 1, the type flag, the permission bits (4 bytes), the name, the link name and the content,
// each of the three after its length. A byte 0 ends the archive; a byte 2 instead says that the reader gave up.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
)

// No file of an archive that is compared is larger.
const contentMax = 4 << 20

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		archive, err := part(in)
		if err != nil {
			return
		}
		end := read(archive, out)
		if out.WriteByte(end) != nil || out.Flush() != nil {
			return
		}
	}
}

func read(archive []byte, out *bufio.Writer) byte {
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return 0
		}
		if err != nil {
			return 2
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(reader, contentMax))
		if err != nil {
			return 2
		}
		out.Write([]byte{1, header.Typeflag})
		number(out, uint32(header.Mode))
		for _, field := range [][]byte{[]byte(header.Name), []byte(header.Linkname), content} {
			number(out, uint32(len(field)))
			out.Write(field)
		}
	}
}

func part(in io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return nil, err
	}
	content := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(in, content)
	return content, err
}

func number(out *bufio.Writer, value uint32) {
	out.Write(binary.BigEndian.AppendUint32(nil, value))
}
