package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

func testSeed(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func testAccountKey(b byte) *AccountKey { return &AccountKey{private: testSeed(b)} }

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func TestIDs(t *testing.T) {
	for _, n := range []int{0, 15, 17, 32} {
		if _, err := ParseAccountID(make([]byte, n)); !errors.Is(err, ErrID) {
			t.Errorf("ParseAccountID of %d bytes: %v", n, err)
		}
		if _, err := ParseDeviceID(make([]byte, n)); !errors.Is(err, ErrID) {
			t.Errorf("ParseDeviceID of %d bytes: %v", n, err)
		}
	}
	id := NewAccountID()
	if id == NewAccountID() {
		t.Error("two random ids are equal")
	}
	again, err := ParseAccountID(id.Bytes())
	if err != nil || again != id {
		t.Errorf("ParseAccountID(Bytes) = %v, %v", again, err)
	}
	id.Bytes()[0]++
	if again != id {
		t.Error("Bytes is no copy")
	}
	if text, _ := json.Marshal(id); string(text) != `"`+id.String()+`"` {
		t.Errorf("as JSON: %s", text)
	}
	// The first 16 bytes of SHA-256 of 32 zero bytes.
	if got := DeviceIDOf(make([]byte, 32)).String(); got != "66687aadf862bd776c8fc18b8e9f8e20" {
		t.Errorf("DeviceIDOf = %s", got)
	}
}

func TestSecretsAndIDsStayOutOfLogs(t *testing.T) {
	k, id := testAccountKey(7), AccountID{0xab}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "key", k, "account", id, "device", DeviceIDOf(k.Public()))
	fmt.Fprintf(&out, "%v %+v %#v %s %x %q %d", k, k, k, k, k, k, k)
	for _, secret := range []string{"07070707", "0x7, 0x7", "7 7 7", id.String()} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q shows in %s", secret, &out)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"al", "alice", "a.b-c_d", "0x", strings.Repeat("a", 32)} {
		if err := CheckName(name); err != nil {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{"", "a", strings.Repeat("a", 33), "Alice", "al ice", ".al", "al.", "-al", "al_", "älice", "al\x00", "al\n", "a@b"} {
		if err := CheckName(name); !errors.Is(err, ErrName) {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}

func TestAccountKeySeal(t *testing.T) {
	k, err := NewAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	export := bytes.Repeat([]byte{1}, exportKeySize)
	sealed, err := k.Seal(export)
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != SealedAccountKeySize {
		t.Errorf("sealed to %d bytes", len(sealed))
	}
	if bytes.Contains(sealed, k.private.Seed()) {
		t.Error("the seed is not encrypted")
	}
	opened, err := OpenAccountKey(sealed, export, k.Public())
	if err != nil || !opened.private.Equal(k.private) {
		t.Fatalf("OpenAccountKey = %v", err)
	}

	other := testAccountKey(9).Public()
	wrongExport := bytes.Repeat([]byte{2}, exportKeySize)
	for what, open := range map[string]func() (*AccountKey, error){
		"other export key": func() (*AccountKey, error) { return OpenAccountKey(sealed, wrongExport, k.Public()) },
		"other public key": func() (*AccountKey, error) { return OpenAccountKey(sealed, export, other) },
		"no public key":    func() (*AccountKey, error) { return OpenAccountKey(sealed, export, nil) },
		"truncated":        func() (*AccountKey, error) { return OpenAccountKey(sealed[:len(sealed)-1], export, k.Public()) },
		"trailing":         func() (*AccountKey, error) { return OpenAccountKey(append(bytes.Clone(sealed), 0), export, k.Public()) },
		"empty":            func() (*AccountKey, error) { return OpenAccountKey(nil, export, k.Public()) },
	} {
		if _, err := open(); !errors.Is(err, ErrSealedAccountKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x40
		if _, err := OpenAccountKey(bad, export, k.Public()); !errors.Is(err, ErrSealedAccountKey) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if _, err := k.Seal(export[1:]); !errors.Is(err, ErrExportKey) {
		t.Errorf("short export key: %v", err)
	}
	if _, err := OpenAccountKey(sealed, nil, k.Public()); !errors.Is(err, ErrExportKey) {
		t.Errorf("no export key: %v", err)
	}
	opened.Destroy()
	if !bytes.Equal(opened.private, make([]byte, ed25519.PrivateKeySize)) {
		t.Error("Destroy leaves the key")
	}
}

// A server that seals a key of its own under the right export key, as it would
// if it ever learned one, must not pass it off as the account's.
func TestOpenAccountKeyComparesThePublicKey(t *testing.T) {
	export := bytes.Repeat([]byte{1}, exportKeySize)
	victim, fake := testAccountKey(1), testAccountKey(2)
	aead, err := accountKeyAEAD(export)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, aead.NonceSize())
	sealed := aead.Seal(nonce, nonce, fake.private.Seed(), victim.Public())
	if _, err := OpenAccountKey(sealed, export, victim.Public()); !errors.Is(err, ErrSealedAccountKey) {
		t.Errorf("got %v", err)
	}
}

func TestDeviceAuth(t *testing.T) {
	device, other := testSeed(3), testSeed(4)
	a, d := AccountID{1}, DeviceIDOf(public(device))
	exporter := bytes.Repeat([]byte{5}, 32)
	sig := SignDeviceAuth(device, a, d, exporter)
	if !VerifyDeviceAuth(public(device), a, d, exporter, sig) {
		t.Fatal("refused")
	}
	if !ed25519.Verify(public(device), []byte("qpc device auth v1\x00"+string(a[:])+string(d[:])+string(exporter)), sig) {
		t.Error("not over the documented bytes")
	}
	otherExporter := bytes.Repeat([]byte{6}, 32)
	for what, ok := range map[string]bool{
		"other key":       VerifyDeviceAuth(public(other), a, d, exporter, sig),
		"other account":   VerifyDeviceAuth(public(device), AccountID{2}, d, exporter, sig),
		"other device":    VerifyDeviceAuth(public(device), a, DeviceID{2}, exporter, sig),
		"other exporter":  VerifyDeviceAuth(public(device), a, d, otherExporter, sig),
		"short exporter":  VerifyDeviceAuth(public(device), a, d, exporter[:31], SignDeviceAuth(device, a, d, exporter[:31])),
		"short signature": VerifyDeviceAuth(public(device), a, d, exporter, sig[:63]),
		"no signature":    VerifyDeviceAuth(public(device), a, d, exporter, nil),
		"short key":       VerifyDeviceAuth(public(device)[:31], a, d, exporter, sig),
		"foreign id":      VerifyDeviceAuth(public(device), a, DeviceID{9}, exporter, SignDeviceAuth(device, a, DeviceID{9}, exporter)),
	} {
		if ok {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestHybridKey(t *testing.T) {
	device := testSeed(3)
	key := bytes.Repeat([]byte{8}, HybridKeySize)
	signed := SignHybridKey(device, key)
	got, err := VerifyHybridKey(public(device), signed)
	if err != nil || !bytes.Equal(got, key) {
		t.Fatalf("VerifyHybridKey = %v", err)
	}
	field := func(n protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), v)
	}
	changed := bytes.Clone(signed)
	changed[100] ^= 1
	for what, raw := range map[string][]byte{
		"empty":         nil,
		"garbage":       []byte("garbage"),
		"truncated":     signed[:len(signed)-1],
		"trailing":      append(bytes.Clone(signed), 0),
		"unknown field": append(bytes.Clone(signed), field(9, nil)...),
		"changed":       changed,
		"other key":     SignHybridKey(testSeed(4), key),
		"short":         SignHybridKey(device, key[1:]),
		"huge":          SignHybridKey(device, make([]byte, 1<<16)),
	} {
		if _, err := VerifyHybridKey(public(device), raw); !errors.Is(err, ErrHybridKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := VerifyHybridKey(nil, signed); !errors.Is(err, ErrHybridKey) {
		t.Errorf("no device key: %v", err)
	}
}

func TestCredential(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := AccountID(rapid.SliceOfN(rapid.Byte(), IDSize, IDSize).Draw(t, "id"))
		c := Credential{AccountID: id, AccountKey: testAccountKey(rapid.Byte().Draw(t, "key")).Public()}
		got, err := ParseCredential(c.Marshal())
		if err != nil || got.AccountID != c.AccountID || !got.AccountKey.Equal(c.AccountKey) {
			t.Fatalf("ParseCredential(Marshal) = %v, %v", got, err)
		}
	})
	good := Credential{AccountID: AccountID{1}, AccountKey: testAccountKey(1).Public()}.Marshal()
	id, key := good[:2+IDSize], good[2+IDSize:]
	for what, raw := range map[string][]byte{
		"empty":        nil,
		"no key":       id,
		"no id":        key,
		"swapped":      append(bytes.Clone(key), id...),
		"twice":        append(bytes.Clone(good), key...),
		"trailing":     append(bytes.Clone(good), 0x18, 0x01),
		"truncated":    good[:len(good)-1],
		"overlong tag": append([]byte{0x8a, 0x00}, good[1:]...),
		"zero key":     Credential{AccountKey: make([]byte, 32)}.Marshal(),
		"short key":    Credential{AccountKey: make([]byte, 31)}.Marshal(),
	} {
		if _, err := ParseCredential(raw); !errors.Is(err, ErrCredential) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzParseCredential(f *testing.F) {
	f.Add(Credential{AccountID: AccountID{1}, AccountKey: testAccountKey(1).Public()}.Marshal())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCredential(raw)
		if err == nil && !bytes.Equal(c.Marshal(), raw) {
			t.Errorf("%x has a second encoding", raw)
		}
	})
}

func FuzzVerifyHybridKey(f *testing.F) {
	device := testSeed(3)
	f.Add(SignHybridKey(device, bytes.Repeat([]byte{8}, HybridKeySize)))
	f.Add([]byte{0x0a, 0x00, 0x12, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) {
		key, err := VerifyHybridKey(public(device), raw)
		if err == nil && !bytes.Equal(SignHybridKey(device, key), raw) {
			t.Errorf("accepted what the device did not sign: %x", raw)
		}
	})
}
