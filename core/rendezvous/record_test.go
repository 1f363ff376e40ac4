package rendezvous

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func endpoint() Endpoint {
	return Endpoint{Hosts: []string{"home.example", "192.0.2.7", "2001:db8::1"}, Port: 4433, Issued: noon, Expires: noon.Add(72 * time.Hour)}
}

func sign(t testing.TB, key crypto.Signer, e Endpoint) *qpcv1.EndpointRecord {
	t.Helper()
	r, err := Sign(key, e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{newKey(t), ec, rs} {
		record := sign(t, key, endpoint())
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		want := endpoint()
		want.Pin = sha256.Sum256(spki)
		got, err := OpenFor(want.Pin[:], record, noon.Add(time.Hour))
		if err != nil {
			t.Fatalf("%T: %v", key, err)
		}
		got.Issued, got.Expires = got.Issued.UTC(), got.Expires.UTC()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if _, err := OpenFor(make([]byte, 32), record, noon); !errors.Is(err, ErrOther) {
			t.Errorf("another pin: %v", err)
		}
	}
}

func TestTime(t *testing.T) {
	record := sign(t, newKey(t), endpoint())
	for _, tc := range []struct {
		at   time.Duration
		want error
	}{
		{-11 * time.Minute, ErrExpired},
		{-9 * time.Minute, nil},
		{72*time.Hour - time.Millisecond, nil},
		{72 * time.Hour, ErrExpired},
	} {
		if _, err := Open(record, noon.Add(tc.at)); !errors.Is(err, tc.want) {
			t.Errorf("at %v: %v", tc.at, err)
		}
	}
}

func TestRefused(t *testing.T) {
	key := newKey(t)
	for name, change := range map[string]func(*Endpoint){
		"no host":     func(e *Endpoint) { e.Hosts = nil },
		"many hosts":  func(e *Endpoint) { e.Hosts = bytes9() },
		"a port":      func(e *Endpoint) { e.Hosts = []string{"home.example:99"} },
		"a zone":      func(e *Endpoint) { e.Hosts = []string{"fe80::1%eth0"} },
		"unspecified": func(e *Endpoint) { e.Hosts = []string{"0.0.0.0"} },
		"a line":      func(e *Endpoint) { e.Hosts = []string{"home\nexample"} },
		"empty":       func(e *Endpoint) { e.Hosts = []string{"home", ""} },
		"port 0":      func(e *Endpoint) { e.Port = 0 },
		"large port":  func(e *Endpoint) { e.Port = 65536 },
		"long life":   func(e *Endpoint) { e.Expires = noon.Add(MaxLife + time.Second) },
		"no life":     func(e *Endpoint) { e.Expires = e.Issued },
		"far future":  func(e *Endpoint) { e.Expires = time.UnixMilli(1 << 51) },
	} {
		e := endpoint()
		change(&e)
		if _, err := Sign(key, e); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func bytes9() []string {
	return []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
}

// Every changed bit of body and signature shows.
func TestTampering(t *testing.T) {
	record := sign(t, newKey(t), endpoint())
	for _, field := range []*[]byte{&record.Body, &record.Signature} {
		original := bytes.Clone(*field)
		for i := range original {
			for bit := range 8 {
				*field = bytes.Clone(original)
				(*field)[i] ^= 1 << bit
				if _, err := Open(record, noon); !errors.Is(err, ErrInvalid) {
					t.Fatalf("byte %d, bit %d: %v", i, bit, err)
				}
			}
		}
		*field = original
	}
	if _, err := Open(record, noon); err != nil {
		t.Fatal(err)
	}
	// a signature by another key
	other := sign(t, newKey(t), endpoint())
	record.Signature = other.Signature
	if _, err := Open(record, noon); !errors.Is(err, ErrInvalid) {
		t.Errorf("another's signature: %v", err)
	}
	for _, r := range []*qpcv1.EndpointRecord{nil, {}, {Body: make([]byte, MaxSize+1)}} {
		if _, err := Open(r, noon); !errors.Is(err, ErrInvalid) {
			t.Errorf("garbage: %v", err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	good, err := proto.Marshal(sign(f, newKey(f), endpoint()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		record := &qpcv1.EndpointRecord{}
		if proto.Unmarshal(raw, record) != nil {
			return
		}
		e, err := Open(record, noon)
		if err == nil && (len(e.Hosts) == 0 || e.Port == 0 || !noon.Before(e.Expires)) {
			t.Errorf("accepted %+v", e)
		}
	})
}
