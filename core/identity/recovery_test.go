package identity

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRecoveryCodeText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := &RecoveryCode{secret: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "secret"))}
		text := code.Text()
		if len(text) != 28+6 || strings.Count(text, "-") != 6 {
			t.Fatalf("%q", text)
		}
		typed := strings.NewReplacer("-", " ", "0", "o", "1", "l").Replace(text)
		for _, s := range []string{text, strings.ToLower(text), strings.ReplaceAll(text, "-", ""), typed, " " + text + "\n"} {
			got, err := ParseRecoveryCode(s)
			if err != nil || got.secret != code.secret {
				t.Fatalf("%q: %v", s, err)
			}
		}
	})
}

func TestRecoveryCodeMistakes(t *testing.T) {
	code := &RecoveryCode{secret: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}
	text := strings.ReplaceAll(code.Text(), "-", "")
	for _, s := range []string{"", "-", text[1:], text + "0", text + text, "U" + text[1:], "é" + text[1:], text[:27] + "\x00"} {
		if _, err := ParseRecoveryCode(s); !errors.Is(err, ErrRecoveryCode) {
			t.Errorf("%q: %v", s, err)
		}
	}
	// Nearly every slip of one character, or of two neighbours, is noticed.
	slips, unnoticed := 0, 0
	try := func(s string) {
		if s == text {
			return
		}
		slips++
		if _, err := ParseRecoveryCode(s); err == nil {
			unnoticed++
		}
	}
	for i := range text {
		for _, r := range recoveryAlphabet {
			try(text[:i] + string(r) + text[i+1:])
		}
		if i > 0 {
			try(text[:i-1] + text[i:i+1] + text[i-1:i] + text[i+1:])
		}
	}
	if slips < 800 || unnoticed > 3 {
		t.Errorf("%d of %d slips go unnoticed", unnoticed, slips)
	}
}

func FuzzParseRecoveryCode(f *testing.F) {
	f.Add(NewRecoveryCode().Text())
	f.Add("0000-0000")
	f.Fuzz(func(t *testing.T, s string) {
		code, err := ParseRecoveryCode(s)
		if err != nil {
			return
		}
		again, err := ParseRecoveryCode(code.Text())
		if err != nil || again.secret != code.secret {
			t.Errorf("%q is not read again", s)
		}
	})
}

func TestRecoveryBundle(t *testing.T) {
	key, err := NewAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	id, code := NewAccountID(), NewRecoveryCode()
	sealed := code.Seal(id, key)
	if len(sealed) != SealedRecoverySize {
		t.Fatalf("%d bytes", len(sealed))
	}
	opened, err := code.Open(sealed, id, key.Public())
	if err != nil || !opened.private.Equal(key.private) {
		t.Fatalf("another key: %v", err)
	}
	other, _ := NewAccountKey()
	for what, open := range map[string]func() (*AccountKey, error){
		"another code":    func() (*AccountKey, error) { return NewRecoveryCode().Open(sealed, id, key.Public()) },
		"another account": func() (*AccountKey, error) { return code.Open(sealed, NewAccountID(), key.Public()) },
		"another key":     func() (*AccountKey, error) { return code.Open(sealed, id, other.Public()) },
		"a short bundle":  func() (*AccountKey, error) { return code.Open(sealed[1:], id, key.Public()) },
		"no public key":   func() (*AccountKey, error) { return code.Open(sealed, id, nil) },
		"a changed bundle": func() (*AccountKey, error) {
			changed := slices.Clone(sealed)
			changed[40] ^= 1
			return code.Open(changed, id, key.Public())
		},
	} {
		if _, err := open(); !errors.Is(err, ErrSealedRecovery) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRecoveryProof(t *testing.T) {
	code, exporter := NewRecoveryCode(), bytes.Repeat([]byte{7}, 32)
	proof := code.Prove("alice", exporter)
	if !VerifyRecoveryProof(code.Verifier(), "alice", exporter, proof) {
		t.Fatal("the proof does not verify")
	}
	if seal, seed := code.derive(recoverySealLabel), code.signer().Seed(); bytes.Equal(seal, seed) {
		t.Error("one key does both")
	}
	for what, got := range map[string]bool{
		"another code":     VerifyRecoveryProof(NewRecoveryCode().Verifier(), "alice", exporter, proof),
		"another name":     VerifyRecoveryProof(code.Verifier(), "alicf", exporter, proof),
		"another exporter": VerifyRecoveryProof(code.Verifier(), "alice", bytes.Repeat([]byte{8}, 32), proof),
		"a short exporter": VerifyRecoveryProof(code.Verifier(), "7alice", exporter[1:], proof),
		"no verifier":      VerifyRecoveryProof(nil, "alice", exporter, proof),
		"no proof":         VerifyRecoveryProof(code.Verifier(), "alice", exporter, nil),
	} {
		if got {
			t.Errorf("%s: the proof verifies", what)
		}
	}
}

// What an account key signs for one purpose, account, connection or content is
// worth nothing for another.
func TestAuthorizations(t *testing.T) {
	key, err := NewAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := NewAccountKey()
	id, exporter := NewAccountID(), bytes.Repeat([]byte{1}, 32)
	verifier, sealed := NewRecoveryCode().Verifier(), []byte("sealed")
	r := RecoveredAccount{Record: []byte("record"), SealedKey: []byte("key"), Verifier: verifier, Bundle: sealed}
	signatures := [][]byte{
		key.SignDeletion(id, exporter), key.SignRecoveryStore(id, exporter, verifier, sealed),
		key.SignRecoveryDeletion(id, exporter), key.SignRecovery(id, exporter, r),
	}
	verify := func(n int, pub ed25519.PublicKey, id AccountID, exporter, sig []byte) bool {
		switch n {
		case 0:
			return VerifyDeletion(pub, id, exporter, sig)
		case 1:
			return VerifyRecoveryStore(pub, id, exporter, verifier, sealed, sig)
		case 2:
			return VerifyRecoveryDeletion(pub, id, exporter, sig)
		default:
			return VerifyRecovery(pub, id, exporter, r, sig)
		}
	}
	for n := range signatures {
		for m, sig := range signatures {
			if verify(n, key.Public(), id, exporter, sig) != (n == m) {
				t.Errorf("signature %d for purpose %d", m, n)
			}
		}
		sig := signatures[n]
		if verify(n, other.Public(), id, exporter, sig) || verify(n, key.Public(), NewAccountID(), exporter, sig) ||
			verify(n, key.Public(), id, bytes.Repeat([]byte{2}, 32), sig) || verify(n, key.Public(), id, nil, sig) ||
			verify(n, nil, id, exporter, sig) || verify(n, key.Public(), id, exporter, nil) {
			t.Errorf("purpose %d takes what was signed for something else", n)
		}
	}
	if VerifyRecoveryStore(key.Public(), id, exporter, verifier, []byte("other"), signatures[1]) ||
		VerifyRecoveryStore(key.Public(), id, exporter, verifier[1:], sealed, signatures[1]) {
		t.Error("another bundle")
	}
	for _, changed := range []RecoveredAccount{
		{[]byte("Record"), r.SealedKey, verifier, sealed},
		{r.Record, []byte("kez"), verifier, sealed},
		{r.Record, r.SealedKey, other.Public(), sealed},
		{r.Record, r.SealedKey, verifier, []byte("other")},
		{},
	} {
		if VerifyRecovery(key.Public(), id, exporter, changed, signatures[3]) {
			t.Errorf("another recovery: %+v", changed)
		}
	}
}

func TestVaultKey(t *testing.T) {
	key, err := NewAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	id, v := NewAccountID(), key.VaultKey()
	again, err := ParseVaultKey(v.Bytes())
	if err != nil || *again != *v || *key.VaultKey() != *v {
		t.Fatal("the key changes")
	}
	sealed := v.Seal(id, 7, []byte("contents"))
	if got, err := again.Open(id, 7, sealed); err != nil || string(got) != "contents" || len(sealed) != VaultOverhead+len(got) {
		t.Fatalf("%q, %v", got, err)
	}
	other, _ := NewAccountKey()
	changed := slices.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for what, open := range map[string]func() ([]byte, error){
		"another key":     func() ([]byte, error) { return other.VaultKey().Open(id, 7, sealed) },
		"another account": func() ([]byte, error) { return v.Open(NewAccountID(), 7, sealed) },
		"another version": func() ([]byte, error) { return v.Open(id, 8, sealed) },
		"changed bytes":   func() ([]byte, error) { return v.Open(id, 7, changed) },
		"too few bytes":   func() ([]byte, error) { return v.Open(id, 7, sealed[:20]) },
	} {
		if _, err := open(); !errors.Is(err, ErrSealedVault) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ParseVaultKey(make([]byte, 31)); !errors.Is(err, ErrVaultKey) {
		t.Error(err)
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	code := NewRecoveryCode()
	key, _ := NewAccountKey()
	v := key.VaultKey()
	for _, secret := range []string{fmt.Sprintf("%v %+v %x %s %q", code, code, code, code, code), fmt.Sprintf("%v %+v %x %s %#v", v, v, v, v, v)} {
		for _, hidden := range []string{code.Text(), fmt.Sprintf("%x", code.secret), fmt.Sprintf("%x", v.Bytes()), fmt.Sprint(code.secret), fmt.Sprint(v.Bytes())} {
			if strings.Contains(secret, hidden) {
				t.Errorf("%s shows", secret)
			}
		}
	}
}
