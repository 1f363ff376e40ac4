package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"quicprochat/server/address"
	"quicprochat/server/blob"
	"quicprochat/server/check"
	"quicprochat/server/secrets"
	"quicprochat/server/storage"
	"quicprochat/server/storage/sqlite"
	"quicprochat/server/verify"
)

var (
	// ErrFormat: this is not a backup, or not one that this program knows.
	ErrFormat = errors.New("this is not a backup that this version of qpc-server can read")
	// ErrDamaged: a backup is incomplete or was changed.
	ErrDamaged = errors.New("the backup is damaged: it is incomplete, or was changed")
	// ErrNotEmpty: there is something in the folder to restore to.
	ErrNotEmpty = errors.New("the folder to restore to is not empty: name another one, or move what is in it away")
	// ErrUnsound: a backup is what was written, but that does not fit together.
	ErrUnsound = errors.New("what the backup holds does not fit together")
)

const (
	// maxSmall bounds the files that are read into memory.
	maxSmall = 1 << 20
	// unfinished holds what is being restored, in the folder.
	unfinished = secrets.RestoringName
)

// Restored is what a backup brought back.
type Restored struct {
	Summary
	// Config is the configuration, as it was.
	Config []byte
	// Withdrawn is how many single-use KeyPackages were taken out of the
	// database: the backup cannot know which were given out since.
	Withdrawn int64
}

// Restore brings a backup back into a folder that is empty or does not exist.
// Nothing appears there under its own name before all of it was compared with
// its hashes and found to fit together; after an error the folder is as it
// was. A database of an older version is brought up to date.
//
// Where force is set, what does not fit together is brought back all the same.
//
// ErrFormat, ErrDamaged, ErrNotEmpty, ErrUnsound, storage.ErrSchemaNewer.
func Restore(ctx context.Context, r io.Reader, dir string, force bool) (restored Restored, err error) {
	made, err := claimFolder(dir)
	if err != nil {
		return restored, err
	}
	temp := filepath.Join(dir, unfinished)
	defer func() {
		if err != nil {
			os.RemoveAll(temp)
			if made {
				os.Remove(dir)
			}
		}
	}()
	if restored, err = extract(ctx, r, temp); err != nil {
		return restored, err
	}
	if !restored.KeysOnly {
		if err := settle(ctx, &restored, filepath.Join(temp, "data")); err != nil && (!force || !errors.Is(err, ErrUnsound)) {
			return restored, err
		}
	}
	return restored, moveIn(filepath.Join(temp, "data"), dir)
}

// Verify unpacks a backup into an empty folder, as Restore would, and looks
// through it. The folder is the caller's to delete. ErrFormat, ErrDamaged.
func Verify(ctx context.Context, r io.Reader, dir string) (Restored, iter.Seq[check.Finding], error) {
	restored, err := extract(ctx, r, dir)
	if err != nil {
		return restored, nil, err
	}
	if restored.KeysOnly {
		return restored, func(func(check.Finding) bool) {}, nil
	}
	subject, err := subjectOf(&restored, filepath.Join(dir, "data"))
	subject.Contents = true
	return restored, verify.Run(ctx, subject), err
}

// claimFolder makes the folder or makes sure that it is empty.
func claimFolder(dir string) (made bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		made, err = true, os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Name() != unfinished && e.Name() != "lost+found" {
			return false, fmt.Errorf("%s: %w", dir, ErrNotEmpty)
		}
	}
	return made, os.RemoveAll(filepath.Join(dir, unfinished)) // of a try that was killed
}

// settle brings the database up to date and takes out of it what must not be
// used twice, then looks whether everything fits together.
func settle(ctx context.Context, restored *Restored, data string) error {
	path := filepath.Join(data, secrets.DatabaseName)
	s, err := sqlite.Open(ctx, path, storage.DefaultLimits())
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if restored.Withdrawn, err = withdraw(ctx, path); err != nil {
		return err
	}
	if err := syncFile(path); err != nil {
		return err
	}
	subject, err := subjectOf(restored, data)
	if err != nil {
		return err
	}
	for finding := range verify.Run(ctx, subject) {
		if finding.Grade == check.Wrong {
			return fmt.Errorf("%w: %s", ErrUnsound, finding.Text)
		}
	}
	return nil
}

// subjectOf is what there is to verify in an unpacked data folder.
func subjectOf(restored *Restored, data string) (s verify.Subject, err error) {
	keys, err := secrets.Load(data)
	if err != nil {
		return s, err
	}
	s = verify.Subject{Database: filepath.Join(data, secrets.DatabaseName), Sealer: address.NewSealer(keys.Address, keys.Storage)}
	if !restored.Bucket {
		s.Objects = blob.ReadFolder(filepath.Join(data, blob.FolderName))
	}
	return s, nil
}

// withdraw leaves of single-use KeyPackages only the mark that they were
// there, as if they had been claimed. Devices upload new ones.
func withdraw(ctx context.Context, path string) (n int64, err error) {
	db, err := sqlite.OpenExclusive(ctx, path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	result, err := db.ExecContext(ctx, `UPDATE key_packages SET data = NULL WHERE data IS NOT NULL`)
	if err != nil {
		return 0, fmt.Errorf("withdraw KeyPackages: %w", err)
	}
	return result.RowsAffected()
}

// moveIn gives everything its own name, the database last, or nothing.
func moveIn(from, dir string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b os.DirEntry) int {
		return strings.Compare(lastName(a.Name()), lastName(b.Name()))
	})
	for i, e := range entries {
		err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name()))
		if err == nil {
			continue
		}
		for _, moved := range entries[:i] {
			err = errors.Join(err, os.Rename(filepath.Join(dir, moved.Name()), filepath.Join(from, moved.Name())))
		}
		return err
	}
	if err := os.RemoveAll(filepath.Dir(from)); err != nil {
		return err
	}
	return syncDir(dir)
}

func lastName(name string) string {
	if name == secrets.DatabaseName {
		return "~"
	}
	return name
}

// extract unpacks a backup into a new folder and compares the hashes.
func extract(ctx context.Context, r io.Reader, dir string) (restored Restored, err error) {
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return restored, err
	}
	x := extraction{tar: tar.NewReader(r), dir: dir, sums: sumHash{sha256.New()}, restored: &restored}
	if err := x.header(); err != nil {
		return restored, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return restored, err
		}
		done, err := x.next()
		if err != nil {
			return restored, err
		}
		if done {
			return restored, x.complete()
		}
	}
}

// extraction is a backup that is being unpacked.
type extraction struct {
	tar      *tar.Reader
	dir      string
	sums     sumHash
	seen     []string // but for contents of blobs
	folder   string   // the latest of blobs
	restored *Restored
}

func (x *extraction) header() error {
	h, err := x.tar.Next()
	if err != nil || h.Name != headerName {
		return ErrFormat
	}
	text, err := x.small(h)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &x.restored.Header); err != nil {
		return ErrFormat
	}
	if f := x.restored.Format; f != format {
		return fmt.Errorf("%w: it has format %d, written by qpc-server %.40q", ErrFormat, f, x.restored.Program)
	}
	return nil
}

// next unpacks an entry; done means that it was the last one.
func (x *extraction) next() (done bool, err error) {
	h, err := x.tar.Next()
	if err != nil {
		return false, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	switch {
	case h.Typeflag != tar.TypeReg || slices.Contains(x.seen, h.Name):
		return false, fmt.Errorf("%w: it has an entry that does not belong there", ErrDamaged)
	case h.Name == sumsName:
		return true, x.compare()
	case h.Name == configName:
		x.restored.Config, err = x.small(h)
		return false, err
	}
	path, err := x.place(h.Name)
	if err != nil {
		return false, err
	}
	return false, x.write(h, path)
}

// place tells where an entry goes. Only names that Write makes are taken.
func (x *extraction) place(name string) (string, error) {
	inData, ok := strings.CutPrefix(name, dataPrefix)
	if ok && (slices.Contains(keyFiles(), inData) || inData == secrets.DatabaseName && !x.restored.KeysOnly) {
		x.seen = append(x.seen, name)
		return filepath.Join(x.dir, "data", inData), nil
	}
	key, ok := strings.CutPrefix(inData, blob.FolderName+"/")
	if _, _, isKey := blob.ParseKey(key); !ok || !isKey || x.restored.KeysOnly {
		return "", fmt.Errorf("%w: it has an entry that does not belong there", ErrDamaged)
	}
	x.restored.Objects++
	path := filepath.Join(x.dir, "data", blob.FolderName, filepath.FromSlash(key))
	if folder := filepath.Dir(path); folder != x.folder {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", err
		}
		x.folder = folder
	}
	return path, nil
}

func (x *extraction) write(h *tar.Header, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: it has an entry twice", ErrDamaged)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, hash), x.tar); err != nil {
		return x.readError(err)
	}
	x.note(h, [32]byte(hash.Sum(nil)))
	return errors.Join(f.Sync(), f.Close())
}

// readError tells a backup that ends from a disk that is full.
func (x *extraction) readError(err error) error {
	if _, mine := errors.AsType[*os.PathError](err); mine {
		return err
	}
	return fmt.Errorf("%w (%w)", ErrDamaged, err)
}

func (x *extraction) small(h *tar.Header) ([]byte, error) {
	if h.Size > maxSmall || h.Typeflag != tar.TypeReg {
		return nil, ErrFormat
	}
	data, err := io.ReadAll(io.LimitReader(x.tar, maxSmall))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	x.seen = append(x.seen, h.Name)
	x.note(h, sha256.Sum256(data))
	return data, nil
}

func (x *extraction) note(h *tar.Header, hash [32]byte) {
	x.sums.add(h.Name, hash)
	x.restored.Files++
	x.restored.Bytes += h.Size
}

// compare compares the hashes with those that were written.
func (x *extraction) compare() error {
	written := sha256.New()
	if _, err := io.Copy(written, x.tar); err != nil {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	if !slices.Equal(written.Sum(nil), x.sums.Sum(nil)) {
		return fmt.Errorf("%w: the hashes differ", ErrDamaged)
	}
	return nil
}

// complete looks for what must be in every backup, and reads to the end, which
// an encrypted file proves.
func (x *extraction) complete() error {
	if _, err := x.tar.Next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its end", ErrDamaged)
	}
	need := keyFiles()
	if !x.restored.KeysOnly {
		need = append(need, secrets.DatabaseName)
	}
	for _, name := range need {
		if !slices.Contains(x.seen, dataPrefix+name) {
			return fmt.Errorf("%w: %s is missing", ErrDamaged, name)
		}
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
