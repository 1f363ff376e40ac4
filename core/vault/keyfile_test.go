package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

func testKeyFile(t testing.TB) (*databaseKey, []byte) {
	t.Helper()
	key := newDatabaseKey()
	f, err := sealKey(key, testPassword, cheap.KDF)
	if err != nil {
		t.Fatal(err)
	}
	return key, f.marshal()
}

// withSum replaces the checksum at the end of b by the right one.
func withSum(b []byte) []byte {
	body := b[:len(b)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestKeyFileRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lanes := rapid.Uint8Range(1, 3).Draw(t, "lanes")
		kdf := KDF{
			Passes:    rapid.Uint32Range(1, 3).Draw(t, "passes"),
			MemoryKiB: rapid.Uint32Range(8*uint32(lanes), 256).Draw(t, "memory"),
			Lanes:     lanes,
		}
		password := rapid.String().Draw(t, "password")
		key := newDatabaseKey()
		f, err := sealKey(key, password, kdf)
		if err != nil {
			t.Fatal(err)
		}
		b := f.marshal()
		if len(b) != 127 {
			t.Fatalf("%d bytes", len(b))
		}
		g, err := parseKeyFile(b)
		if err != nil || *g != *f {
			t.Fatalf("got %+v, %v", g, err)
		}
		opened, err := g.open(password)
		if err != nil || *opened != *key {
			t.Fatalf("got another key, %v", err)
		}
		if _, err := g.open(password + "x"); !errors.Is(err, ErrWrongPassword) {
			t.Fatalf("wrong password: %v", err)
		}
	})
}

func TestKeyFileIsSaltedAnew(t *testing.T) {
	key := newDatabaseKey()
	a, errA := sealKey(key, testPassword, cheap.KDF)
	b, errB := sealKey(key, testPassword, cheap.KDF)
	if errA != nil || errB != nil || a.salt == b.salt || a.nonce == b.nonce || a.sealed == b.sealed {
		t.Errorf("two key files of one key share something: %v, %v", errA, errB)
	}
}

func TestDamagedKeyFile(t *testing.T) {
	_, sound := testKeyFile(t)
	dir := t.TempDir()
	path := filepath.Join(dir, keyName)
	read := func(b []byte) error {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := readKeyFile(path)
		if err == nil {
			_, err = f.open(testPassword)
		}
		return err
	}
	if err := read(sound); err != nil {
		t.Fatal(err)
	}
	for i := range sound {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			b := bytes.Clone(sound)
			b[i] ^= flip
			wantErr(t, read(b), ErrCorrupt)
		}
		wantErr(t, read(sound[:i]), ErrCorrupt)
	}
	wantErr(t, read(append(bytes.Clone(sound), 0)), ErrCorrupt)
	wantErr(t, read(bytes.Repeat([]byte("QPCVAULT"), 1<<17)), ErrCorrupt)
}

// Somebody who forges a key file can make the checksum right.
func TestForgedKeyFile(t *testing.T) {
	_, sound := testKeyFile(t)
	for i := range len(sound) - sha256.Size {
		for _, flip := range []byte{0x01, 0x08, 0xff} {
			b := bytes.Clone(sound)
			b[i] ^= flip
			f, err := parseKeyFile(withSum(b))
			if err == nil {
				_, err = f.open(testPassword)
			}
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooNew) && !errors.Is(err, ErrWrongPassword) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
}

func TestKeyFileOfLaterVersion(t *testing.T) {
	_, sound := testKeyFile(t)
	for _, length := range []int{len(sound), len(sound) + 20} {
		b := append(bytes.Clone(sound), make([]byte, length-len(sound))...)
		b[9] = keyFileVersion + 1
		_, err := parseKeyFile(withSum(b))
		wantErr(t, err, ErrTooNew)
	}
	b := bytes.Clone(sound)
	b[9] = 0
	_, err := parseKeyFile(withSum(b))
	wantErr(t, err, ErrCorrupt)
}

func TestKDFBounds(t *testing.T) {
	if d := DefaultKDF(); !d.valid() || d != (KDF{Passes: 3, MemoryKiB: 64 << 10, Lanes: 4}) {
		t.Errorf("default %+v", d)
	}
	for _, k := range []KDF{
		{},
		{Passes: 0, MemoryKiB: 64, Lanes: 1},
		{Passes: 17, MemoryKiB: 64, Lanes: 1},
		{Passes: 1, MemoryKiB: 7, Lanes: 1},
		{Passes: 1, MemoryKiB: 256<<10 + 1, Lanes: 1},
		{Passes: 1, MemoryKiB: 1<<32 - 1, Lanes: 1},
		{Passes: 1, MemoryKiB: 64, Lanes: 0},
		{Passes: 1, MemoryKiB: 64, Lanes: 9},
		{Passes: 1, MemoryKiB: 1 << 10, Lanes: 17},
	} {
		_, err := sealKey(newDatabaseKey(), testPassword, k)
		wantErr(t, err, ErrInvalid)
		_, sound := testKeyFile(t)
		f, err := parseKeyFile(sound)
		if err != nil {
			t.Fatal(err)
		}
		f.kdf = k
		_, err = parseKeyFile(f.marshal())
		wantErr(t, err, ErrCorrupt)
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	key := newDatabaseKey()
	v := &Vault{key: key}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "vault", v)
	for _, s := range []string{
		fmt.Sprint(key), fmt.Sprintf("%+v %#v %x %s", key, key, key, key),
		fmt.Sprintf("%+v %#v", v, &connector{key: key}), log.String(),
	} {
		if bytes.Contains([]byte(s), []byte(hex.EncodeToString(key.bytes[:4]))) || bytes.Contains([]byte(s), fmt.Appendf(nil, "%d %d %d", key.bytes[0], key.bytes[1], key.bytes[2])) {
			t.Errorf("the key was printed: %s", s)
		}
	}
}

func FuzzParseKeyFile(f *testing.F) {
	_, sound := testKeyFile(f)
	f.Add(sound)
	f.Add(sound[:50])
	f.Add([]byte("QPCVAULT\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// With the checksum made right the fuzzer gets past it.
		inputs := [][]byte{b}
		if len(b) >= sha256.Size {
			inputs = append(inputs, withSum(b))
		}
		for _, b := range inputs {
			k, err := parseKeyFile(b)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooNew) {
					t.Errorf("untyped error %v", err)
				}
				continue
			}
			if !k.kdf.valid() || !bytes.Equal(k.marshal(), b) {
				t.Errorf("accepted %x as %+v", b, k)
			}
		}
	})
}
