package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
)

var (
	contactNow     = time.Date(2025, 6, 1, 12, 0, 0, 500, time.UTC)
	contactExpires = contactNow.Add(20 * 24 * time.Hour)
	contactBody    = bytes.Repeat([]byte("welcome "), 300)
)

func deviceKey(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func certificateOf(t testing.TB, device ed25519.PrivateKey, from, until time.Time) []byte {
	t.Helper()
	account, err := identity.NewAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	c, err := account.IssueCertificate(identity.AccountID{1}, device.Public().(ed25519.PublicKey), "laptop", from, until)
	if err != nil {
		t.Fatal(err)
	}
	return c.Raw
}

func validCertificate(t testing.TB, device ed25519.PrivateKey) []byte {
	return certificateOf(t, device, contactNow.AddDate(0, -1, 0), contactNow.AddDate(0, 1, 0))
}

// goodContact returns a message that opens, to be spoilt.
func goodContact(t testing.TB) *qpcv1.FirstContact {
	m := &qpcv1.FirstContact{
		Body:              contactBody,
		SenderCertificate: validCertificate(t, deviceKey(3)),
		ExpiresAt:         uint64(contactExpires.Unix()),
	}
	sign(t, m, deviceKey(3))
	return m
}

// sign signs by what content.proto says, not by the package's own function.
func sign(t testing.TB, m *qpcv1.FirstContact, device ed25519.PrivateKey) {
	signTo(testKey(t, 1), m, device)
}

func signTo(recipient *PrivateKey, m *qpcv1.FirstContact, device ed25519.PrivateKey) {
	to, hash := sha256.Sum256(recipient.Public()), sha256.Sum256(m.Body)
	text := "qpc first contact v2\x00" + string(to[:]) + string(hash[:])
	m.SenderSignature = ed25519.Sign(device, binary.BigEndian.AppendUint64([]byte(text), m.ExpiresAt))
}

func sealContact(t testing.TB, k *PrivateKey, m *qpcv1.FirstContact) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return sealRaw(t, k, raw)
}

func sealRaw(t testing.TB, k *PrivateKey, raw []byte) []byte {
	t.Helper()
	sealed, err := Seal(k.Public(), []byte("qpc first contact v2"), nil, raw)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestFirstContact(t *testing.T) {
	k, device := testKey(t, 1), deviceKey(3)
	for _, body := range [][]byte{contactBody, []byte("welcome"), bytes.Repeat([]byte("welcome "), 100_000)} {
		sealed, err := SealFirstContact(k.Public(), device, validCertificate(t, device), body, contactExpires)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.OpenFirstContact(sealed, contactNow)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Body, body) ||
			!got.Sender.DeviceKey.Equal(device.Public()) || got.Expires.Unix() != contactExpires.Unix() {
			t.Errorf("came back as %+v", got)
		}
		if bytes.Contains(sealed, []byte("welcome")) || bytes.Contains(sealed, got.Sender.Raw) {
			t.Error("the sealed message shows its content")
		}
	}
	if _, err := k.OpenFirstContact(sealContact(t, k, goodContact(t)), contactNow); err != nil {
		t.Errorf("signed as content.proto says: %v", err)
	}
}

func TestOpenFirstContactRefuses(t *testing.T) {
	k := testKey(t, 1)
	device, other := deviceKey(3), deviceKey(4)
	type m = *qpcv1.FirstContact
	resigned := func(change func(m)) func(m) {
		return func(c m) { change(c); sign(t, c, device) }
	}
	for what, c := range map[string]struct {
		change func(m)
		want   error
	}{
		"body exchanged":            {func(c m) { c.Body = []byte("another body") }, ErrFirstContactSignature},
		"meant for another device":  {func(c m) { signTo(testKey(t, 2), c, device) }, ErrFirstContactSignature},
		"expiry put off":            {func(c m) { c.ExpiresAt++ }, ErrFirstContactSignature},
		"no signature":              {func(c m) { c.SenderSignature = nil }, ErrFirstContactSignature},
		"short signature":           {func(c m) { c.SenderSignature = c.SenderSignature[1:] }, ErrFirstContactSignature},
		"signed by another device":  {func(c m) { sign(t, c, other) }, ErrFirstContactSignature},
		"certificate of another":    {func(c m) { c.SenderCertificate = validCertificate(t, other) }, ErrFirstContactSignature},
		"no certificate":            {func(c m) { c.SenderCertificate = nil }, identity.ErrCertificate},
		"certificate changed":       {func(c m) { c.SenderCertificate[30] ^= 1 }, identity.ErrCertificate},
		"no body":                   {resigned(func(c m) { c.Body = nil }), ErrFirstContact},
		"no expiry":                 {resigned(func(c m) { c.ExpiresAt = 0 }), ErrFirstContactExpired},
		"expires now":               {resigned(func(c m) { c.ExpiresAt = uint64(contactNow.Unix()) }), ErrFirstContactExpired},
		"expires in 31 days":        {resigned(func(c m) { c.ExpiresAt = uint64(contactNow.AddDate(0, 0, 31).Unix()) }), ErrFirstContactTooFar},
		"expires at the end of all": {resigned(func(c m) { c.ExpiresAt = 1<<64 - 1 }), ErrFirstContactTooFar},
		"certificate expired": {func(c m) {
			c.SenderCertificate = certificateOf(t, device, contactNow.AddDate(-1, 0, 0), contactNow.Truncate(time.Second))
		}, identity.ErrCertificateExpired},
		"certificate not yet valid": {func(c m) {
			c.SenderCertificate = certificateOf(t, device, contactNow.Add(time.Minute), contactNow.AddDate(1, 0, 0))
		}, identity.ErrCertificateNotYetValid},
	} {
		contact := goodContact(t)
		c.change(contact)
		if got, err := k.OpenFirstContact(sealContact(t, k, contact), contactNow); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}

	raw, _ := proto.Marshal(goodContact(t))
	otherPurpose, err := Seal(k.Public(), []byte("another purpose"), nil, raw)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		sealed []byte
		want   error
	}{
		"empty":         {nil, ErrOpen},
		"garbage":       {[]byte(strings.Repeat("garbage", 500)), ErrOpen},
		"other key":     {sealRaw(t, testKey(t, 2), raw), ErrOpen},
		"other purpose": {otherPurpose, ErrOpen},
		"no protobuf":   {sealRaw(t, k, []byte{0xff, 0xff}), ErrFirstContact},
		"truncated":     {sealRaw(t, k, raw[:len(raw)/2]), ErrFirstContact},
		"nothing":       {sealRaw(t, k, nil), ErrFirstContact},
	} {
		if got, err := k.OpenFirstContact(c.sealed, contactNow); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

func TestFirstContactClocks(t *testing.T) {
	k, device := testKey(t, 1), deviceKey(3)
	sealed, err := SealFirstContact(k.Public(), device, validCertificate(t, device), contactBody, contactNow.Add(MaxFirstContactLife))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		late time.Duration
		want error
	}{
		{-61 * time.Minute, ErrFirstContactTooFar},
		{-time.Minute, nil}, // our clock is a little behind the sender's
		{0, nil},
		{MaxFirstContactLife - time.Second, nil},
		{MaxFirstContactLife, ErrFirstContactExpired},
	} {
		if _, err := k.OpenFirstContact(sealed, contactNow.Add(c.late)); !errors.Is(err, c.want) {
			t.Errorf("%v after it was sealed: %v, want %v", c.late, err, c.want)
		}
	}
}

func TestSealFirstContactRefuses(t *testing.T) {
	pub, device := testKey(t, 1).Public(), deviceKey(3)
	cert := validCertificate(t, device)
	for what, c := range map[string]struct {
		seal func() ([]byte, error)
		want error
	}{
		"foreign certificate": {func() ([]byte, error) {
			return SealFirstContact(pub, deviceKey(4), cert, contactBody, contactExpires)
		}, ErrFirstContact},
		"no certificate": {func() ([]byte, error) {
			return SealFirstContact(pub, device, nil, contactBody, contactExpires)
		}, identity.ErrCertificate},
		"no key": {func() ([]byte, error) {
			return SealFirstContact(pub, nil, cert, contactBody, contactExpires)
		}, ErrFirstContact},
		"no body": {func() ([]byte, error) { return SealFirstContact(pub, device, cert, nil, contactExpires) }, ErrFirstContact},
		"no expiry": {func() ([]byte, error) {
			return SealFirstContact(pub, device, cert, contactBody, time.Time{})
		}, ErrFirstContact},
		"no recipient": {func() ([]byte, error) {
			return SealFirstContact(nil, device, cert, contactBody, contactExpires)
		}, ErrPublicKey},
	} {
		if _, err := c.seal(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

func known(err error) bool {
	for _, e := range []error{
		ErrOpen, ErrFirstContact, ErrFirstContactExpired, ErrFirstContactTooFar, ErrFirstContactSignature,
		identity.ErrCertificateExpired, identity.ErrCertificateNotYetValid,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func FuzzOpenFirstContact(f *testing.F) {
	k := testKey(f, 1)
	f.Add(sealContact(f, k, goodContact(f)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := k.OpenFirstContact(raw, contactNow); err != nil && !known(err) {
			t.Error(err)
		}
	})
}

// FuzzFirstContactInside reaches what lies behind the encryption.
func FuzzFirstContactInside(f *testing.F) {
	k := testKey(f, 1)
	raw, err := proto.Marshal(goodContact(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := k.OpenFirstContact(sealRaw(t, k, raw), contactNow)
		if err != nil && !known(err) {
			t.Error(err)
		}
		if err == nil && !bytes.Equal(got.Body, contactBody) {
			t.Error("opened what the sender did not sign")
		}
	})
}
