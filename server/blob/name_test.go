package blob

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"quicprochat/server/storage"
)

func TestParseKey(t *testing.T) {
	name := storage.BlobName{0xab, 31: 7}
	for _, chunk := range []int{0, 9, 12345} {
		got, n, ok := ParseKey(Key(name, chunk))
		if !ok || got != name || n != chunk {
			t.Errorf("chunk %d became %d, %v", chunk, n, ok)
		}
	}
	key := Key(name, 1)
	for _, bad := range []string{
		"", key[3:], "ac" + key[2:], strings.ToUpper(key), key + "x", key + "-1", key[:len(key)-1], key[:len(key)-1] + "01", key[:len(key)-1] + "-1", "../" + key, key[:3] + "/" + key[4:],
	} {
		if _, _, ok := ParseKey(bad); ok {
			t.Errorf("took %q", bad)
		}
	}
}

func TestFolderEach(t *testing.T) {
	dir := filepath.Join(t.TempDir(), FolderName)
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{Key(storage.BlobName{1}, 0): 3, Key(storage.BlobName{1}, 1): 1, Key(storage.BlobName{255}, 0): 0}
	for key, size := range want {
		if err := f.Write(t.Context(), key, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	err = ReadFolder(dir).Each(func(key string, size int64) error {
		if got, ok := want[key]; !ok || got != size {
			t.Errorf("visits %s, %d bytes", key, size)
		}
		delete(want, key)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("left out %v (%v)", want, err)
	}
	enough := errors.New("enough")
	if err := f.Each(func(string, int64) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if err := ReadFolder(filepath.Join(dir, "none")).Each(func(string, int64) error { return nil }); err != nil {
		t.Errorf("no folder: %v", err)
	}
}
