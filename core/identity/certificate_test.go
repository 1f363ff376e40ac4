package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	qpcv1 "quicprochat/proto/qpc/v1"
)

var (
	certStart = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	certEnd   = certStart.AddDate(1, 0, 0)
)

func testCertificate(t testing.TB) *Certificate {
	t.Helper()
	c, err := testAccountKey(1).IssueCertificate(AccountID{1}, public(testSeed(2)), "Alice's laptop", certStart, certEnd)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signBody signs any body at all with account key 1.
func signBody(body []byte) []byte {
	raw, err := marshalStrict(&qpcv1.SignedDeviceCertificate{
		Body:      body,
		Signature: ed25519.Sign(testSeed(1), labelled(certificateLabel, body)),
	})
	if err != nil {
		panic(err)
	}
	return raw
}

// bodyWith returns a good body after change.
func bodyWith(change func(*qpcv1.DeviceCertificate)) []byte {
	m := &qpcv1.DeviceCertificate{
		AccountId:        make([]byte, IDSize),
		AccountPublicKey: testAccountKey(1).Public(),
		DevicePublicKey:  public(testSeed(2)),
		DeviceName:       "laptop",
		NotBefore:        uint64(certStart.Unix()),
		NotAfter:         uint64(certEnd.Unix()),
	}
	change(m)
	body, err := marshalStrict(m)
	if err != nil {
		panic(err)
	}
	return body
}

func TestCertificateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := AccountID(rapid.SliceOfN(rapid.Byte(), IDSize, IDSize).Draw(t, "id"))
		name := rapid.StringOfN(rapid.RuneFrom([]rune("ab Ä-'東😀")), 0, -1, MaxDeviceName).Draw(t, "name")
		from := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "from"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		until := from.Add(time.Duration(rapid.Int64Range(1, 9*365*24*3600).Draw(t, "seconds")) * time.Second)
		issued, err := testAccountKey(1).IssueCertificate(id, public(testSeed(2)), name, from, until)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCertificate(issued.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if c.AccountID != id || c.DeviceName != name || !c.AccountKey.Equal(testAccountKey(1).Public()) ||
			!c.DeviceKey.Equal(public(testSeed(2))) || c.NotBefore.Unix() != from.Unix() || c.NotAfter.Unix() != until.Unix() {
			t.Fatalf("came back as %+v", c)
		}
		if !bytes.Equal(c.Raw, issued.Raw) || c.DeviceID() != DeviceIDOf(public(testSeed(2))) {
			t.Fatal("raw bytes or device id differ")
		}
	})
}

// These bytes may never change: certificates outlive the program that made
// them.
func TestCertificateBytes(t *testing.T) {
	const want = "0a720a10010000000000000000000000000000001220" +
		"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c1a20" +
		"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394220e" +
		"416c6963652773206c6170746f7028c0ed8bbe0630c0d490cd061240"
	got := hex.EncodeToString(testCertificate(t).Raw)
	if !strings.HasPrefix(got, want) || len(got) != len(want)+2*ed25519.SignatureSize {
		t.Errorf("certificate is\n%s, want it to start\n%s", got, want)
	}
}

func TestCertificateTime(t *testing.T) {
	c := testCertificate(t)
	for _, x := range []struct {
		now  time.Time
		want error
	}{
		{certStart.Add(-time.Nanosecond), ErrCertificateNotYetValid},
		{certStart, nil},
		{certEnd.Add(-time.Nanosecond), nil},
		{certEnd, ErrCertificateExpired},
		{certEnd.AddDate(50, 0, 0), ErrCertificateExpired},
	} {
		if err := c.CheckTime(x.now); !errors.Is(err, x.want) {
			t.Errorf("at %v: %v, want %v", x.now, err, x.want)
		}
	}
}

func TestParseCertificateRefuses(t *testing.T) {
	good := testCertificate(t).Raw
	field := func(n protowire.Number, v string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), v)
	}
	body := bodyWith(func(*qpcv1.DeviceCertificate) {})
	if _, err := ParseCertificate(signBody(body)); err != nil {
		t.Fatalf("the good body is refused: %v", err)
	}
	otherKey, _ := marshalStrict(&qpcv1.SignedDeviceCertificate{Body: body, Signature: ed25519.Sign(testSeed(9), labelled(certificateLabel, body))})
	noLabel, _ := marshalStrict(&qpcv1.SignedDeviceCertificate{Body: body, Signature: ed25519.Sign(testSeed(1), body)})
	otherLabel, _ := marshalStrict(&qpcv1.SignedDeviceCertificate{Body: body, Signature: ed25519.Sign(testSeed(1), labelled(hybridKeyLabel, body))})
	noSignature, _ := marshalStrict(&qpcv1.SignedDeviceCertificate{Body: body})
	type m = *qpcv1.DeviceCertificate
	smallOrder, _ := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	notCanonical := bytes.Repeat([]byte{0xff}, 32)

	for what, raw := range map[string][]byte{
		"empty":                  nil,
		"garbage":                []byte("not a certificate"),
		"truncated":              good[:len(good)-1],
		"trailing byte":          append(bytes.Clone(good), 0),
		"unknown outer field":    append(bytes.Clone(good), field(7, "x")...),
		"signature twice":        append(bytes.Clone(good), good[len(good)-66:]...),
		"over-long":              signBody(append(bytes.Clone(body), field(9, strings.Repeat("x", 4000))...)),
		"no signature":           noSignature,
		"signature by other key": otherKey,
		"signature, no label":    noLabel,
		"signature, other label": otherLabel,
		"unknown field":          signBody(append(bytes.Clone(body), field(9, "x")...)),
		"field twice":            signBody(append(bytes.Clone(body), 0x30, 0x01)),
		"empty body":             signBody(nil),
		"name not UTF-8":         signBody(bytes.Replace(body, []byte("laptop"), []byte("lapt\xff\xfe"), 1)),
		"name too long":          signBody(bodyWith(func(c m) { c.DeviceName = strings.Repeat("x", 65) })),
		"name with control":      signBody(bodyWith(func(c m) { c.DeviceName = "a\nb" })),
		"name with bidi":         signBody(bodyWith(func(c m) { c.DeviceName = "a\u202eb" })),
		"short account id":       signBody(bodyWith(func(c m) { c.AccountId = c.AccountId[1:] })),
		"long account id":        signBody(bodyWith(func(c m) { c.AccountId = make([]byte, 17) })),
		"no account key":         signBody(bodyWith(func(c m) { c.AccountPublicKey = nil })),
		"short device key":       signBody(bodyWith(func(c m) { c.DevicePublicKey = c.DevicePublicKey[1:] })),
		"small-order device key": signBody(bodyWith(func(c m) { c.DevicePublicKey = smallOrder })),
		"device key, no point":   signBody(bodyWith(func(c m) { c.DevicePublicKey = append([]byte{2}, make([]byte, 31)...) })),
		"device key, second way": signBody(bodyWith(func(c m) { c.DevicePublicKey = notCanonical })),
		"no times":               signBody(bodyWith(func(c m) { c.NotBefore, c.NotAfter = 0, 0 })),
		"ends as it starts":      signBody(bodyWith(func(c m) { c.NotAfter = c.NotBefore })),
		"ends before it starts":  signBody(bodyWith(func(c m) { c.NotAfter = c.NotBefore - 1 })),
		"ten years and a second": signBody(bodyWith(func(c m) { c.NotAfter = uint64(certStart.AddDate(10, 0, 0).Unix()) + 1 })),
		"for ever":               signBody(bodyWith(func(c m) { c.NotAfter = 1<<64 - 1 })),
		"far in the future":      signBody(bodyWith(func(c m) { c.NotBefore, c.NotAfter = 1<<63+1, 1<<63+2 })),
	} {
		if _, err := ParseCertificate(raw); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := ParseCertificate(bad); !errors.Is(err, ErrCertificate) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if _, err := ParseCertificate(signBody(bodyWith(func(c m) { c.NotAfter = uint64(certStart.AddDate(10, 0, 0).Unix()) }))); err != nil {
		t.Errorf("exactly ten years: %v", err)
	}
}

func TestIssueCertificateRefuses(t *testing.T) {
	k, device := testAccountKey(1), public(testSeed(2))
	for what, issue := range map[string]func() (*Certificate, error){
		"name": func() (*Certificate, error) {
			return k.IssueCertificate(AccountID{}, device, "\xff", certStart, certEnd)
		},
		"key":   func() (*Certificate, error) { return k.IssueCertificate(AccountID{}, nil, "", certStart, certEnd) },
		"order": func() (*Certificate, error) { return k.IssueCertificate(AccountID{}, device, "", certEnd, certStart) },
		"zero": func() (*Certificate, error) {
			return k.IssueCertificate(AccountID{}, device, "", time.Time{}, certStart)
		},
		"too long": func() (*Certificate, error) {
			return k.IssueCertificate(AccountID{}, device, "", certStart, certStart.AddDate(11, 0, 0))
		},
	} {
		if _, err := issue(); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzParseCertificate(f *testing.F) {
	f.Add(testCertificate(f).Raw)
	f.Add(signBody(bodyWith(func(c *qpcv1.DeviceCertificate) { c.DeviceName = "" })))
	f.Add(signBody(nil))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCertificate(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Raw, raw) || !c.NotBefore.Before(c.NotAfter) || len(c.DeviceName) > MaxDeviceName {
			t.Errorf("accepted %x as %+v", raw, c)
		}
	})
}

// FuzzSignedCertificateBody reaches the checks behind the signature.
func FuzzSignedCertificateBody(f *testing.F) {
	f.Add(bodyWith(func(*qpcv1.DeviceCertificate) {}))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseCertificate(signBody(body))
		if err != nil {
			return
		}
		if !c.NotBefore.Before(c.NotAfter) || c.NotAfter.After(c.NotBefore.AddDate(10, 0, 0)) || len(c.DeviceKey) != 32 {
			t.Errorf("accepted %x as %+v", body, c)
		}
	})
}

func BenchmarkParseCertificate(b *testing.B) {
	raw := testCertificate(b).Raw
	for b.Loop() {
		if _, err := ParseCertificate(raw); err != nil {
			b.Fatal(err)
		}
	}
}
