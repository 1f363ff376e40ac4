// Package secrets keeps the server's long-term keys: one file each in the data
// folder, readable by its owner alone, made on the first start and never
// again. Losing them makes the database useless, so a folder that has a
// database and lacks a key is an error and not a fresh start.
package secrets

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"quicprochat/core/opaque"
)

// DatabaseName is the file of the database in the data folder.
const DatabaseName = "server.db"

// RestoringName is the folder in the data folder that is there until a backup
// was brought back to its end.
const RestoringName = ".restoring"

// The key files, in the data folder.
const (
	OPAQUEFile  = "opaque.key"
	AddressFile = "address.key"
	StorageFile = "storage.key"
	LoginFile   = "login.key"
)

const opaqueSize = 96

// sizes of the key files, in bytes.
var sizes = map[string]int{OPAQUEFile: opaqueSize, AddressFile: 32, StorageFile: 32, LoginFile: 32}

// Files lists the names of the key files.
func Files() []string { return slices.Sorted(maps.Keys(sizes)) }

// ErrMissing: the folder has a database, but a key that it needs is gone.
// Restore the file from a backup; a new key would not fit.
var ErrMissing = errors.New("a key file is missing beside an existing database: restore it from a backup")

// ErrExposed: others than the owner can read a key file. The owner takes the
// right away (chmod 600), and thinks about who may have read it.
var ErrExposed = errors.New("others than the owner may read or write a key file: chmod 600 it")

// ErrSize: a key file does not hold as many bytes as the key has.
var ErrSize = errors.New("a key file has the wrong length: restore it from a backup")

// Secrets are the server's keys besides the one of its TLS certificate.
type Secrets struct {
	OPAQUE opaque.ServerKeys
	// Address seals queue addresses.
	Address [32]byte
	// Storage seals items in queues.
	Storage [32]byte
	// Login makes up account ids for names that nobody has.
	Login [32]byte
}

// Hash tells sets of keys apart and says nothing else about them. It is the
// same for all servers that share a database. 32 bytes.
func (s *Secrets) Hash() ([]byte, error) {
	opaqueKeys, err := s.OPAQUE.MarshalBinary()
	if err != nil {
		return nil, err
	}
	defer clear(opaqueKeys)
	h := sha256.New()
	h.Write([]byte("qpc server keys\x00"))
	for _, key := range [][]byte{opaqueKeys, s.Address[:], s.Storage[:], s.Login[:]} {
		h.Write(key)
	}
	return h.Sum(nil), nil
}

// LogValue shows nothing.
func (Secrets) LogValue() slog.Value { return slog.StringValue("[secrets]") }

// String shows nothing.
func (Secrets) String() string { return "[secrets]" }

// GoString shows nothing.
func (Secrets) GoString() string { return "[secrets]" }

// Load reads the keys of the folder dir and makes those that a new folder
// lacks. ErrMissing, ErrExposed, ErrSize, or an error of the file system; each
// names the file.
func Load(dir string) (*Secrets, error) {
	s := &Secrets{}
	opaqueKeys, err := loadFile(dir, OPAQUEFile, opaqueSize, newOPAQUE)
	if err != nil {
		return nil, err
	}
	defer clear(opaqueKeys)
	if err := s.OPAQUE.UnmarshalBinary(opaqueKeys); err != nil {
		return nil, fmt.Errorf("%s: %w", OPAQUEFile, err)
	}
	for name, key := range map[string]*[32]byte{AddressFile: &s.Address, StorageFile: &s.Storage, LoginFile: &s.Login} {
		b, err := loadFile(dir, name, len(key), randomKey)
		if err != nil {
			return nil, err
		}
		copy(key[:], b)
		clear(b)
	}
	return s, nil
}

// Check tells what is wrong with the key files of a folder that was set up,
// and changes nothing. It returns an error for each file, as Load would.
func Check(dir string) []error {
	var errs []error
	for name, size := range sizes {
		key, err := readFile(filepath.Join(dir, name), size)
		clear(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errs
}

func newOPAQUE() ([]byte, error) {
	keys, err := opaque.GenerateServerKeys()
	if err != nil {
		return nil, err
	}
	return keys.MarshalBinary()
}

func randomKey() ([]byte, error) {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return key, err
}

func loadFile(dir, name string, size int, generate func() ([]byte, error)) ([]byte, error) {
	path := filepath.Join(dir, name)
	key, err := readFile(path, size)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return key, nil
	}
	if _, err := os.Stat(filepath.Join(dir, DatabaseName)); err == nil {
		return nil, fmt.Errorf("%s: %w", name, ErrMissing)
	}
	if key, err = generate(); err != nil {
		return nil, fmt.Errorf("making %s: %w", name, err)
	}
	if err := writeFile(dir, path, key); err != nil {
		return nil, fmt.Errorf("writing %s: %w", name, err)
	}
	return key, nil
}

func readFile(path string, size int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, ErrExposed
	}
	if info.Size() != int64(size) {
		return nil, ErrSize
	}
	return os.ReadFile(path)
}

// writeFile makes path appear with all of key or not at all, and leaves one
// alone that another process made meanwhile.
func writeFile(dir, path string, key []byte) error {
	f, err := os.CreateTemp(dir, ".new-key-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(key); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
