package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func testKey(t testing.TB, b byte) *PrivateKey {
	t.Helper()
	k, err := ParsePrivateKey(bytes.Repeat([]byte{b}, PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPadmeLen(t *testing.T) {
	// Worked out by hand from the paper's definition: of a length with its
	// highest bit at e, the lowest e-s bits are rounded away, where s is how
	// many bits it takes to write e.
	for n, want := range map[int]int{
		0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 7: 7, 8: 8, 9: 10, 11: 12, 16: 16, 17: 18, 33: 36,
		256: 256, 257: 272, 272: 272, 273: 288, 1000: 1024, 1024: 1024, 1025: 1088, 65537: 67584, 1 << 20: 1 << 20,
	} {
		if got := PadmeLen(n); got != want {
			t.Errorf("PadmeLen(%d) = %d, want %d", n, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1<<30).Draw(t, "n")
		m := PadmeLen(n)
		if m < n || float64(m) > 1.12*float64(n)+1 {
			t.Fatalf("PadmeLen(%d) = %d", n, m)
		}
		if PadmeLen(m) != m {
			t.Fatalf("PadmeLen(%d) = %d, which is rounded again", n, m)
		}
		if PadmeLen(n+1) < m {
			t.Fatalf("PadmeLen falls at %d", n)
		}
	})
}

func TestPad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, padMark, 1}), 0, 600).Draw(t, "b")
		floor := rapid.IntRange(0, 512).Draw(t, "floor")
		padded := Pad(b, floor)
		if len(padded) < floor || len(padded) != PadmeLen(len(padded)) {
			t.Fatalf("%d bytes over %d give %d", len(b), floor, len(padded))
		}
		got, err := Unpad(padded)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("came back as %x, %v", got, err)
		}
	})
	for _, bad := range [][]byte{nil, {}, {0}, make([]byte, 300), {0x80, 1}, {0x80, 0, 0x81, 0}} {
		if _, err := Unpad(bad); !errors.Is(err, ErrPadding) {
			t.Errorf("Unpad(%x): %v", bad, err)
		}
	}
}

func TestSealAndOpen(t *testing.T) {
	k, other := testKey(t, 1), testKey(t, 2)
	rapid.Check(t, func(t *rapid.T) {
		info := rapid.SliceOf(rapid.Byte()).Draw(t, "info")
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		plain := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "plain")
		sealed, err := Seal(k.Public(), info, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		if want := Overhead + PadmeLen(max(len(plain)+1, Floor)); len(sealed) != want {
			t.Fatalf("%d bytes sealed to %d, want %d", len(plain), len(sealed), want)
		}
		got, err := k.Open(info, aad, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open: %v", err)
		}
		flipped := bytes.Clone(sealed)
		flipped[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		for what, open := range map[string]func() ([]byte, error){
			"other key":  func() ([]byte, error) { return other.Open(info, aad, sealed) },
			"other info": func() ([]byte, error) { return k.Open(append(info, 0), aad, sealed) },
			"other aad":  func() ([]byte, error) { return k.Open(info, append(aad, 0), sealed) },
			"changed":    func() ([]byte, error) { return k.Open(info, aad, flipped) },
			"truncated":  func() ([]byte, error) { return k.Open(info, aad, sealed[:len(sealed)-1]) },
			"trailing":   func() ([]byte, error) { return k.Open(info, aad, append(bytes.Clone(sealed), 0)) },
		} {
			if plain, err := open(); !errors.Is(err, ErrOpen) || plain != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	})
	for n := range Overhead + 1 {
		if _, err := k.Open(nil, nil, make([]byte, n)); !errors.Is(err, ErrOpen) {
			t.Fatalf("%d zeros: %v", n, err)
		}
	}
}

func TestSealingTwiceDiffers(t *testing.T) {
	k := testKey(t, 1)
	a, _ := Seal(k.Public(), nil, nil, []byte("x"))
	b, _ := Seal(k.Public(), nil, nil, []byte("x"))
	if bytes.Equal(a, b) || bytes.Equal(a[:encapsulatedSize], b[:encapsulatedSize]) {
		t.Error("the same bytes twice")
	}
}

func TestKeys(t *testing.T) {
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Public()) != PublicKeySize || len(k.Bytes()) != PrivateKeySize {
		t.Fatalf("keys of %d and %d bytes", len(k.Public()), len(k.Bytes()))
	}
	again, err := ParsePrivateKey(k.Bytes())
	if err != nil || !bytes.Equal(again.Public(), k.Public()) {
		t.Fatalf("came back otherwise: %v", err)
	}
	for _, n := range []int{0, 31, 33, PublicKeySize} {
		if _, err := ParsePrivateKey(make([]byte, n)); !errors.Is(err, ErrPrivateKey) {
			t.Errorf("private key of %d bytes: %v", n, err)
		}
	}
	pub := k.Public()
	badModulus := bytes.Repeat([]byte{0xff}, PublicKeySize)
	lowOrder := append(bytes.Clone(pub[:PublicKeySize-32]), make([]byte, 32)...)
	for what, bad := range map[string][]byte{
		"empty": nil, "short": pub[1:], "long": append(bytes.Clone(pub), 0), "coefficients too big": badModulus, "X25519 of low order": lowOrder,
	} {
		if _, err := Seal(bad, nil, nil, nil); !errors.Is(err, ErrPublicKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", k)
	fmt.Fprintf(&out, "%v %+v %#v %x %s", k, k, k, k, k)
	if strings.Count(out.String(), "[private key]") != 6 {
		t.Errorf("the key shows: %s", &out)
	}
}

// What was sealed by an earlier build must open for ever.
func TestSealedBytes(t *testing.T) {
	k := testKey(t, 0x42)
	const wantKey = "7d710330a772125b75ce0175d359fb345afef6fa87a47596ccd75116ffb61056"
	if sum := sha256.Sum256(k.Public()); hex.EncodeToString(sum[:]) != wantKey {
		t.Errorf("the public key of the seed 42… has changed: %x", sum)
	}
	text, err := os.ReadFile("testdata/sealed.hex")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := k.Open([]byte("info"), []byte("aad"), sealed)
	if err != nil || string(plain) != "tulip ox ladder rain" {
		t.Errorf("opened %q, %v", plain, err)
	}
}

func FuzzOpen(f *testing.F) {
	k := testKey(f, 1)
	sealed, err := Seal(k.Public(), []byte("info"), nil, []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(make([]byte, Overhead))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := k.Open([]byte("info"), nil, raw); err != nil && !errors.Is(err, ErrOpen) {
			t.Error(err)
		}
	})
}

func FuzzUnpad(f *testing.F) {
	f.Add(Pad([]byte("x"), Floor))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := Unpad(raw)
		if err == nil && !bytes.HasPrefix(raw, append(bytes.Clone(b), padMark)) {
			t.Errorf("Unpad(%x) = %x", raw, b)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	pub, plain := testKey(b, 1).Public(), make([]byte, 1024)
	for b.Loop() {
		if _, err := Seal(pub, nil, nil, plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	k := testKey(b, 1)
	sealed, _ := Seal(k.Public(), nil, nil, make([]byte, 1024))
	for b.Loop() {
		if _, err := k.Open(nil, nil, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
