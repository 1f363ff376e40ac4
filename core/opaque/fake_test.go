package opaque

import (
	"bytes"
	"errors"
	"math/bits"
	"testing"
)

// An attacker who asks as often as he likes, with whatever passwords, sees the
// same things change and the same stay for a user and for nobody.
func TestFakePathLooksReal(t *testing.T) {
	s := testServer(t)
	record, _ := register(t, s, testPassword, []byte("alice"))
	type answers struct {
		evaluated map[string]bool
		fresh     map[string]bool
		ones      int
	}
	const attempts = 100
	_, ke1 := startLogin(t, []byte("a wrong guess"))
	ask := func(id, record []byte) answers {
		a := answers{map[string]bool{}, map[string]bool{}, 0}
		for range attempts {
			_, ke2, err := s.StartLogin(ke1, id, record, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := decodeKE2(ke2)
			if err != nil {
				t.Fatal(err)
			}
			a.evaluated[string(encodeElement(m.evaluated))] = true
			serverNonce := m.inner[ke2InnerSize-elementSize-nonceSize : ke2InnerSize-elementSize]
			// Byte by byte of the masked response, as a plaintext showing
			// through would repeat.
			for _, part := range [][]byte{m.maskingNonce, m.masked[:32], m.masked[32:64], m.masked[64:], serverNonce, encodeElement(m.keyshare), m.serverMAC} {
				a.fresh[string(part)] = true
			}
			for _, b := range m.masked {
				a.ones += bits.OnesCount8(b)
			}
		}
		return a
	}
	for what, a := range map[string]answers{
		"a user": ask([]byte("alice"), record), "nobody": ask([]byte("nobody"), nil), "nobody else": ask([]byte("bob"), nil),
	} {
		if len(a.evaluated) != 1 {
			t.Errorf("%s: the same guess is evaluated to %d values", what, len(a.evaluated))
		}
		if len(a.fresh) != 7*attempts {
			t.Errorf("%s: %d fresh parts in %d answers, want %d", what, len(a.fresh), attempts, 7*attempts)
		}
		// Random bits: mean n/2, deviation sqrt(n)/2 = 160. Ten of them.
		if n := attempts * maskedSize * 8; a.ones < n/2-1600 || a.ones > n/2+1600 {
			t.Errorf("%s: %d ones in %d bits of masked responses", what, a.ones, n)
		}
	}
	_, one, _ := s.StartLogin(ke1, []byte("nobody"), nil, nil, nil)
	_, two, _ := s.StartLogin(ke1, []byte("bob"), nil, nil, nil)
	if bytes.Equal(one[:32], two[:32]) {
		t.Error("two unknown users share an OPRF key")
	}
}

// Nobody gets in as an unknown user, and the answers survive a restart.
func TestFakeRecordIsStable(t *testing.T) {
	keys, err := GenerateServerKeys()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := NewServer(testConfig, keys)
	b, _ := NewServer(testConfig, keys)
	if !bytes.Equal(a.fake, b.fake) {
		t.Error("the fake record changes with a restart")
	}
	if err := ValidateRecord(a.fake); err != nil {
		t.Error(err)
	}
	if bytes.Equal(a.fake, testServer(t).fake) {
		t.Error("two servers share a fake record")
	}
	_, ke1 := startLogin(t, testPassword)
	server, _, err := a.StartLogin(ke1, nil, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Finish(make([]byte, KE3Size)); !errors.Is(err, ErrAuthentication) {
		t.Errorf("got %v", err)
	}
}
