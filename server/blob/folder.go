package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// FolderName is the folder's, in a server's data folder.
const FolderName = "blobs"

// unfinishedName is the folder, inside the folder, of files that are being
// written.
const unfinishedName = "unfinished"

// maxWriting is how long a file may be in writing. What is older was left
// behind by a process that is gone.
const maxWriting = time.Hour

// Folder keeps objects as files. Others than the owner cannot look into it.
type Folder struct{ dir string }

// OpenFolder opens the folder dir, makes it where there is none, and deletes
// what a process that ended too soon has left half written.
func OpenFolder(dir string) (*Folder, error) {
	f := &Folder{dir: dir}
	if err := os.MkdirAll(f.unfinished(), 0o700); err != nil {
		return nil, err
	}
	for i := range 256 { // of the first two digits of keys, here and durable before the first object
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf("%02x", i)), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	if err := syncDir(dir); err != nil {
		return nil, err
	}
	return f, f.tidy(time.Now())
}

// ReadFolder gives the folder dir as it is, to read from.
func ReadFolder(dir string) *Folder { return &Folder{dir: dir} }

// Each visits the objects of the folder: their keys and sizes in bytes. What
// is half written is none.
func (f *Folder) Each(visit func(key string, size int64) error) error {
	for i := range 256 {
		spread := fmt.Sprintf("%02x", i)
		entries, err := os.ReadDir(filepath.Join(f.dir, spread))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return discreet(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err != nil {
				return discreet(err)
			}
			if err := visit(spread+"/"+e.Name(), info.Size()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Folder) unfinished() string { return filepath.Join(f.dir, unfinishedName) }

func (f *Folder) path(key string) string { return filepath.Join(f.dir, filepath.FromSlash(key)) }

func (f *Folder) tidy(now time.Time) error {
	entries, err := os.ReadDir(f.unfinished())
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || now.Sub(info.ModTime()) < maxWriting {
			continue
		}
		if err := os.Remove(filepath.Join(f.unfinished(), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Write implements Objects.
func (f *Folder) Write(_ context.Context, key string, data []byte) error {
	temp, err := os.CreateTemp(f.unfinished(), "*")
	if err != nil {
		return discreet(err)
	}
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close())
	if err == nil { // the day is enough, as in the database
		day := time.Now().UTC().Truncate(24 * time.Hour)
		err = os.Chtimes(temp.Name(), day, day)
	}
	if err == nil {
		err = os.Rename(temp.Name(), f.path(key))
	}
	if err == nil {
		err = syncDir(filepath.Dir(f.path(key)))
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // what stays is tidied up
		return discreet(err)
	}
	return nil
}

// syncDir makes durable what was made in a folder or moved there.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it keeps its folders itself, and cannot be told to
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Read implements Objects.
func (f *Folder) Read(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	file, err := os.Open(f.path(key))
	if err != nil {
		return nil, discreet(err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, offset, length), file}, nil
}

// Delete implements Objects.
func (f *Folder) Delete(_ context.Context, key string) error {
	if err := os.Remove(f.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return discreet(err)
	}
	return nil
}

// Check implements Objects. Whether the disk takes anything is looked at where
// the rest of the data folder is.
func (f *Folder) Check(context.Context) error {
	_, err := os.Stat(f.unfinished())
	return discreet(err)
}

// Close implements Objects.
func (f *Folder) Close() error { return nil }

// discreet takes the paths out of an error.
func discreet(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}
