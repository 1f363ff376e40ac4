package mls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cloudflare/circl/sign/ed448"
)

// hexBytes is a hex string in the vectors' JSON; absent and null are nil.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// vectors reads one of the working group's files, or skips the test.
func vectors[T any](t *testing.T, name string) []T {
	t.Helper()
	dir := os.Getenv("QPC_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	b, err := os.ReadFile(filepath.Join(dir, "mls", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED: the official test vectors are not at %s; set QPC_VECTORS to their folder", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []T
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// tally counts what a vector test ran and what it left out.
type tally struct {
	run     int
	skipped map[string]int
}

func (c *tally) skip(why string) {
	if c.skipped == nil {
		c.skipped = map[string]int{}
	}
	c.skipped[why]++
}

// suite returns the suite, or nil and counts the case as skipped.
func (c *tally) suite(id Suite) *suite {
	s, err := suiteOf(id)
	if err != nil {
		c.skip(err.Error())
		return nil
	}
	return s
}

func (c *tally) report(t *testing.T) {
	t.Helper()
	t.Logf("%d cases run, skipped: %v", c.run, c.skipped)
	if c.run == 0 {
		t.Error("no case was run")
	}
}

// vectorSigner makes a signer of a private key as the vectors write it.
func vectorSigner(t *testing.T, s *suite, private []byte) crypto.Signer {
	t.Helper()
	switch scheme := s.sig.(type) {
	case ed25519Scheme:
		return ed25519.NewKeyFromSeed(private)
	case ed448Scheme:
		return ed448.NewKeyFromSeed(private)
	case *ecdsaScheme:
		size := (scheme.curve.Params().BitSize + 7) / 8
		padded := make([]byte, size)
		copy(padded[size-len(private):], private)
		key, err := ecdsa.ParseRawPrivateKey(scheme.curve, padded)
		if err != nil {
			t.Fatal(err)
		}
		return key
	default:
		t.Fatalf("no signer for %v", s.id)
		return nil
	}
}
