package backup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"quicprochat/server/backup"
	"quicprochat/server/blob"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/sqlite"
	"quicprochat/server/verify/verifytest"
)

// A backup that was made while others write is sound, and has everything from
// before it began.
func TestOnline(t *testing.T) {
	dir := verifytest.Folder(t)
	live, err := sqlite.Open(t.Context(), filepath.Join(dir, secrets.DatabaseName), storage.DefaultLimits())
	must(t, err)
	defer live.Close()
	objects, err := blob.OpenFolder(filepath.Join(dir, blob.FolderName))
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := byte(10); i < 250 && ctx.Err() == nil; i++ {
			verifytest.PutBlob(t, live, objects, i, 2500)
			if i%2 == 0 {
				must(t, live.DeleteBlob(t.Context(), storage.BlobName{i - 1}))
				for chunk := range 3 {
					must(t, objects.Delete(t.Context(), blob.Key(storage.BlobName{i - 1}, chunk)))
				}
			}
		}
	})
	for range 3 {
		data, _ := write(t, sourceOf(t, dir))
		back, _ := restore(t, data)
		if n := count(t, back, `SELECT count(*) FROM accounts`); n != 4 {
			t.Errorf("%d accounts", n)
		}
	}
	stop()
	wait.Wait()
}

// gate lets a test act in the middle of a backup.
type gate struct {
	bytes.Buffer
	at  []byte
	act func()
}

func (g *gate) Write(p []byte) (int, error) {
	if g.act != nil && bytes.Contains(p, g.at) {
		g.act()
		g.act = nil
	}
	return g.Buffer.Write(p)
}

// A blob that is deleted behind the copy of the database is gone in the
// backup; one that has lost its contents makes the backup fail.
func TestDeletedMeanwhile(t *testing.T) {
	dir := verifytest.Folder(t)
	live, err := sqlite.Open(t.Context(), filepath.Join(dir, secrets.DatabaseName), storage.DefaultLimits())
	must(t, err)
	defer live.Close()
	remove := func(chunk int) {
		must(t, os.Remove(filepath.Join(dir, blob.FolderName, blob.Key(storage.BlobName{3}, chunk))))
	}
	g := &gate{at: []byte("data/blobs/"), act: func() { // between the copy and the second blob
		must(t, live.DeleteBlob(t.Context(), storage.BlobName{3}))
		remove(1)
	}}
	summary, err := backup.Write(t.Context(), g, sourceOf(t, dir))
	must(t, err)
	if summary.Gone != 1 {
		t.Errorf("%d blobs gone", summary.Gone)
	}
	back, _ := restore(t, g.Bytes())
	if n := count(t, back, `SELECT count(*) FROM blobs WHERE state = 1`); n != 1 {
		t.Errorf("%d blobs", n)
	}

	must(t, os.Remove(filepath.Join(dir, blob.FolderName, blob.Key(storage.BlobName{2}, 0))))
	if _, err := backup.Write(t.Context(), io.Discard, sourceOf(t, dir)); err == nil || !strings.Contains(err.Error(), "contents are missing") {
		t.Errorf("got %v", err)
	}
}

func TestLock(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	must(t, err)
	other, err := age.GenerateX25519Identity()
	must(t, err)
	with, err := backup.LockWith("correct horse")
	must(t, err)
	to, err := backup.LockTo([]string{other.Recipient().String(), key.Recipient().String()})
	must(t, err)
	_, err = backup.LockTo([]string{"age1nonsense"})
	if err == nil {
		t.Error("took nonsense for a key")
	}
	passphrase, err := backup.KeysWith("correct horse")
	must(t, err)
	wrong, err := backup.KeysWith("wrong")
	must(t, err)
	file, err := backup.KeysIn(strings.NewReader("# a comment\n" + key.String() + "\n"))
	must(t, err)
	stranger, err := age.GenerateX25519Identity()
	must(t, err)
	foreign, err := backup.KeysIn(strings.NewReader(stranger.String()))
	must(t, err)
	if _, err := backup.KeysIn(strings.NewReader("nonsense")); err == nil {
		t.Error("took nonsense for a key file")
	}
	text := bytes.Repeat([]byte("a backup "), 20_000)
	for name, c := range map[string]struct {
		lock backup.Lock
		keys backup.Keys
		want error
	}{
		"none":             {},
		"exchanged":        {backup.Lock{}, passphrase, backup.ErrNotLocked},
		"passphrase":       {with, passphrase, nil},
		"wrong passphrase": {with, wrong, backup.ErrWrongKey},
		"nothing given":    {with, backup.Keys{}, backup.ErrLocked},
		"key":              {to, file, nil},
		"foreign key":      {to, foreign, backup.ErrWrongKey},
	} {
		var b bytes.Buffer
		must(t, c.lock.Write(&b, func(w io.Writer) error { _, err := w.Write(text); return err }))
		r, err := c.keys.Open(bytes.NewReader(b.Bytes()))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		got, err := io.ReadAll(r)
		must(t, err)
		if !bytes.Equal(got, text) {
			t.Errorf("%s: opened something else", name)
		}
		if name != "none" && bytes.Contains(b.Bytes(), text[:9]) {
			t.Errorf("%s: is not encrypted", name)
		}
		if name != "none" {
			if r, err = c.keys.Open(bytes.NewReader(b.Bytes()[:b.Len()-1])); err == nil {
				_, err = io.ReadAll(r)
			}
			if err == nil {
				t.Errorf("%s: cut short, and nobody noticed", name)
			}
		}
	}
}

// A backup that was killed leaves its copy of the database to nobody for long.
func TestCopiesOfKilledBackupsGo(t *testing.T) {
	s := sourceOf(t, verifytest.Folder(t))
	s.TempDir = t.TempDir()
	left, under := filepath.Join(s.TempDir, ".qpc-copy-1"), filepath.Join(s.TempDir, ".qpc-copy-2")
	for _, dir := range []string{left, under} {
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "server.db"), []byte("secrets"), 0o600))
	}
	old := time.Now().Add(-25 * time.Hour)
	must(t, os.Chtimes(left, old, old))
	_, err := backup.Write(t.Context(), io.Discard, s)
	must(t, err)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy of yesterday is there still: %v", err)
	}
	if _, err := os.Stat(under); err != nil {
		t.Errorf("the copy of a backup that may be under way is gone: %v", err)
	}
}
