package vault

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// The key file, version 1. Integers are big-endian.
//
//	offset  length
//	     0       8  magic "QPCVAULT"
//	     8       2  version, 1
//	    10       4  Argon2id: passes
//	    14       4  Argon2id: memory in KiB
//	    18       1  Argon2id: lanes
//	    19      16  Argon2id: salt
//	    35      12  ChaCha20-Poly1305: nonce
//	    47      48  the sealed database key: ciphertext, then tag;
//	                additional data is bytes 0 to 46
//	    95      32  SHA-256 of bytes 0 to 94
//	   127
//
// The hash is no protection: it tells a damaged file from a wrong password.
const (
	keyFileMagic   = "QPCVAULT"
	keyFileVersion = 1
	headerSize     = 47
	sealedSize     = len(databaseKey{}.bytes) + chacha20poly1305.Overhead
	keyFileSize    = headerSize + sealedSize + sha256.Size
)

// Bounds of the Argon2id parameters in a key file, so that a forged one costs
// neither much memory nor much time.
const (
	maxPasses    = 16
	maxMemoryKiB = 256 << 10
	maxLanes     = 16
)

// KDF holds the parameters of Argon2id (RFC 9106), which turns the password
// into the key of the key file. At most 16 passes, 256 MiB and 16 lanes.
type KDF struct {
	Passes    uint32
	MemoryKiB uint32
	Lanes     uint8
}

// DefaultKDF returns the parameters of a new key file: 3 passes over 64 MiB in
// 4 lanes.
func DefaultKDF() KDF { return KDF{Passes: 3, MemoryKiB: 64 << 10, Lanes: 4} }

func (k KDF) valid() bool {
	return k.Passes >= 1 && k.Passes <= maxPasses &&
		k.Lanes >= 1 && k.Lanes <= maxLanes &&
		k.MemoryKiB >= 8*uint32(k.Lanes) && k.MemoryKiB <= maxMemoryKiB
}

// databaseKey is SQLCipher's raw key. It is only handled by pointer.
type databaseKey struct{ bytes [32]byte }

func (k *databaseKey) wipe() { clear(k.bytes[:]) }

// Format keeps the key out of everything that is printed.
func (k *databaseKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[redacted]") }

// LogValue keeps the key out of logs.
func (k *databaseKey) LogValue() slog.Value { return slog.StringValue("[redacted]") }

func newDatabaseKey() *databaseKey {
	k := new(databaseKey)
	rand.Read(k.bytes[:]) // never fails
	return k
}

type keyFile struct {
	kdf    KDF
	salt   [16]byte
	nonce  [chacha20poly1305.NonceSize]byte
	sealed [sealedSize]byte
}

// sealKey wraps the database key under the password, with fresh salt and nonce.
func sealKey(key *databaseKey, password string, kdf KDF) (*keyFile, error) {
	if !kdf.valid() {
		return nil, fmt.Errorf("%w: Argon2id parameters %+v", ErrInvalid, kdf)
	}
	f := &keyFile{kdf: kdf}
	rand.Read(f.salt[:])
	rand.Read(f.nonce[:])
	wrapping := f.wrappingKey(password)
	defer clear(wrapping)
	aead, err := chacha20poly1305.New(wrapping)
	if err != nil {
		return nil, err
	}
	aead.Seal(f.sealed[:0], f.nonce[:], key.bytes[:], f.header())
	return f, nil
}

// open unwraps the database key, or returns ErrWrongPassword.
func (f *keyFile) open(password string) (*databaseKey, error) {
	wrapping := f.wrappingKey(password)
	defer clear(wrapping)
	aead, err := chacha20poly1305.New(wrapping)
	if err != nil {
		return nil, err
	}
	key := new(databaseKey)
	if _, err := aead.Open(key.bytes[:0], f.nonce[:], f.sealed[:], f.header()); err != nil {
		return nil, ErrWrongPassword
	}
	return key, nil
}

func (f *keyFile) wrappingKey(password string) []byte {
	secret := []byte(password)
	defer clear(secret)
	return argon2.IDKey(secret, f.salt[:], f.kdf.Passes, f.kdf.MemoryKiB, f.kdf.Lanes, chacha20poly1305.KeySize)
}

func (f *keyFile) header() []byte {
	b := make([]byte, 0, keyFileSize)
	b = append(b, keyFileMagic...)
	b = binary.BigEndian.AppendUint16(b, keyFileVersion)
	b = binary.BigEndian.AppendUint32(b, f.kdf.Passes)
	b = binary.BigEndian.AppendUint32(b, f.kdf.MemoryKiB)
	b = append(b, f.kdf.Lanes)
	b = append(b, f.salt[:]...)
	return append(b, f.nonce[:]...)
}

func (f *keyFile) marshal() []byte {
	b := append(f.header(), f.sealed[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseKeyFile returns ErrCorrupt for what is no key file of version 1, and
// ErrTooNew for one of a later version.
func parseKeyFile(b []byte) (*keyFile, error) {
	if len(b) < len(keyFileMagic)+2 || !bytes.HasPrefix(b, []byte(keyFileMagic)) {
		return nil, fmt.Errorf("%w: not a key file", ErrCorrupt)
	}
	version := binary.BigEndian.Uint16(b[8:])
	intact := len(b) > sha256.Size
	if intact {
		body := b[:len(b)-sha256.Size]
		sum := sha256.Sum256(body)
		intact = bytes.Equal(sum[:], b[len(body):])
	}
	switch {
	case !intact:
		return nil, fmt.Errorf("%w: the key file's checksum is wrong", ErrCorrupt)
	case version > keyFileVersion:
		return nil, fmt.Errorf("%w: key file version %d", ErrTooNew, version)
	case version != keyFileVersion || len(b) != keyFileSize:
		return nil, fmt.Errorf("%w: key file version %d with %d bytes", ErrCorrupt, version, len(b))
	}
	f := &keyFile{kdf: KDF{
		Passes:    binary.BigEndian.Uint32(b[10:]),
		MemoryKiB: binary.BigEndian.Uint32(b[14:]),
		Lanes:     b[18],
	}}
	if !f.kdf.valid() {
		return nil, fmt.Errorf("%w: Argon2id parameters %+v", ErrCorrupt, f.kdf)
	}
	copy(f.salt[:], b[19:])
	copy(f.nonce[:], b[35:])
	copy(f.sealed[:], b[headerSize:])
	return f, nil
}

// maxKeyFileSize leaves room for later versions.
const maxKeyFileSize = 4096

// readKeyFile returns ErrNoVault where there is no such file.
func readKeyFile(path string) (*keyFile, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoVault
	}
	if err != nil {
		return nil, fmt.Errorf("vault: open the key file: %w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxKeyFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("vault: read the key file: %w", err)
	}
	if len(b) > maxKeyFileSize {
		return nil, fmt.Errorf("%w: the key file is too long", ErrCorrupt)
	}
	return parseKeyFile(b)
}

// writeKeyFile replaces the file at path, by way of temp, so that after a crash
// there is the old one or the new one. It returns after the change is durable.
func writeKeyFile(path, temp string, f *keyFile) error {
	if err := writeDurably(temp, f.marshal()); err != nil {
		return fmt.Errorf("vault: write the key file: %w", err)
	}
	return publishKeyFile(path, temp)
}

// writeDurably writes and fsyncs a file of mode 0600.
func writeDurably(path string, b []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	return errors.Join(err, file.Sync(), file.Close())
}

func publishKeyFile(path, temp string) error {
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("vault: replace the key file: %w", err)
	}
	return syncDir(path)
}

// syncDir makes the directory entry of the file durable. Windows neither needs
// nor allows it.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("vault: sync the directory: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("vault: sync the directory: %w", err)
	}
	return nil
}
