// Package backup writes all that a server needs to come back into one file,
// and brings it back.
//
// A backup is a tar archive. Unpacked by hand, it is a configuration beside a
// data folder, with a file of hashes for sha256sum:
//
//	backup.json        what it is, see Header; always the first
//	server.toml        the configuration
//	data/*.key, data/server.crt
//	data/blobs/...     contents of blobs, where they lie in the data folder
//	data/server.db     the database as a SQLite file, whatever kind it was
//	SHA256SUMS         of all the others, in order; always the last
//
// It is consistent although the server goes on: the database is copied first,
// as it is at one moment. The contents of blobs never change, so those that
// the copy lists are then added from the folder; a blob whose contents were
// deleted meanwhile is marked as gone in the copy. The copy comes last.
package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"quicprochat/core/version"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
)

// format is the version of the archive's layout.
const format = 1

// The names in an archive.
const (
	headerName = "backup.json"
	configName = "server.toml"
	dataPrefix = "data/"
	sumsName   = "SHA256SUMS"
)

// Header says what a backup is.
type Header struct {
	Format  int    `json:"format"`
	Program string `json:"program"`
	// Day is when it was made, in UTC.
	Day string `json:"day"`
	// PostgreSQL tells that the database was one before it became a file.
	PostgreSQL bool `json:"postgresql"`
	// Bucket tells that the contents of blobs lie in a bucket, and not here.
	Bucket bool `json:"bucket"`
	// KeysOnly tells that there are no database and no blobs.
	KeysOnly bool `json:"keys_only"`
}

// Summary is what a backup holds.
type Summary struct {
	Header
	Files int64
	// Objects are the contents of blobs among the files.
	Objects int64
	// Bytes is what the files come to.
	Bytes int64
	// Gone is how many blobs were deleted while the backup was made.
	Gone int64
}

// Source is what to back up.
type Source struct {
	Config config.Config
	// ConfigFile is the file that it came from; empty where there is none.
	ConfigFile string
	// TempDir is where the copy of the database lies meanwhile.
	TempDir string
	// KeysOnly leaves out the database and the blobs: what a further server on
	// the same database needs.
	KeysOnly bool
	Now      time.Time
}

// keyFiles are those of the data folder that are never made again.
func keyFiles() []string {
	return append(secrets.Files(), "server.crt", "server.key")
}

// Write writes a backup to w. The server may run.
func Write(ctx context.Context, w io.Writer, s Source) (Summary, error) {
	a := &archive{tar: tar.NewWriter(w), day: time.Unix(int64(storage.DayOf(s.Now)), 0).UTC()}
	a.summary.Header = Header{
		Format: format, Program: version.Version, Day: a.day.Format(time.DateOnly),
		PostgreSQL: s.Config.Store.URL != "", Bucket: s.Config.BlobURL != "", KeysOnly: s.KeysOnly,
	}
	sweep(s.TempDir, time.Now())
	sums, err := os.CreateTemp(s.TempDir, sumsPattern)
	if err != nil {
		return a.summary, err
	}
	defer os.Remove(sums.Name())
	defer sums.Close()
	a.sums = sums
	err = a.addAll(ctx, s)
	if err == nil {
		err = a.addSums(sums)
	}
	if err == nil {
		err = a.tar.Close()
	}
	return a.summary, err
}

// What a backup makes in its TempDir, and after how long it was left behind by
// one that was killed.
const (
	sumsPattern = ".qpc-sums-*"
	copyPattern = ".qpc-copy-*"
	leftBehind  = 24 * time.Hour
)

// sweep deletes what backups that were killed have left behind, as far as it
// can.
func sweep(dir string, now time.Time) {
	for _, pattern := range []string{sumsPattern, copyPattern} {
		found, _ := fs.Glob(os.DirFS(dir), pattern) // the pattern is a good one
		for _, name := range found {
			path := filepath.Join(dir, name)
			if info, err := os.Lstat(path); err == nil && now.Sub(info.ModTime()) > leftBehind {
				_ = os.RemoveAll(path)
			}
		}
	}
}

func (a *archive) addAll(ctx context.Context, s Source) error {
	header, err := json.MarshalIndent(a.summary.Header, "", "  ")
	if err != nil {
		return err
	}
	if err := a.addBytes(headerName, append(header, '\n')); err != nil {
		return err
	}
	if s.ConfigFile != "" {
		if err := a.addFile(configName, s.ConfigFile); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
	}
	for _, name := range keyFiles() {
		if err := a.addFile(dataPrefix+name, filepath.Join(s.Config.DataDir, name)); err != nil {
			return fmt.Errorf("key file: %w", err)
		}
	}
	if s.KeysOnly {
		return nil
	}
	return a.addDatabase(ctx, s)
}

// archive is a tar archive that is being written.
type archive struct {
	tar     *tar.Writer
	sums    io.Writer
	day     time.Time
	summary Summary
}

func (a *archive) addBytes(name string, data []byte) error {
	if err := a.begin(name, int64(len(data))); err != nil {
		return err
	}
	if _, err := a.tar.Write(data); err != nil {
		return err
	}
	return a.sum(name, sha256.Sum256(data))
}

func (a *archive) addFile(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return a.add(name, f, info.Size())
}

// add adds exactly size bytes of r.
func (a *archive) add(name string, r io.Reader, size int64) error {
	if err := a.begin(name, size); err != nil {
		return err
	}
	h := sha256.New()
	if n, err := io.Copy(io.MultiWriter(a.tar, h), io.LimitReader(r, size)); err != nil {
		return err
	} else if n != size {
		return fmt.Errorf("%s became shorter while it was read", name)
	}
	return a.sum(name, [32]byte(h.Sum(nil)))
}

func (a *archive) begin(name string, size int64) error {
	a.summary.Files++
	a.summary.Bytes += size
	return a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: a.day, Format: tar.FormatPAX})
}

func (a *archive) sum(name string, hash [32]byte) error {
	_, err := io.WriteString(a.sums, sumLine(name, hash))
	return err
}

func sumLine(name string, hash [32]byte) string {
	return hex.EncodeToString(hash[:]) + "  " + name + "\n"
}

// addSums adds the hashes, which were written to a file of their own.
func (a *archive) addSums(sums *os.File) error {
	size, err := sums.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := sums.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := a.begin(sumsName, size); err != nil {
		return err
	}
	_, err = io.Copy(a.tar, sums)
	return err
}

// sumHash hashes the lines of SHA256SUMS as they should be.
type sumHash struct{ hash.Hash }

func (s sumHash) add(name string, hash [32]byte) { io.WriteString(s, sumLine(name, hash)) }

// ErrExists: there is a file of this name.
var ErrExists = errors.New("the file exists already: choose another name")

// ToFile makes a file of mode 0600 that is complete or not there. write gets
// where to write to.
func ToFile(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w", path, ErrExists)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
