package push

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"testing"
)

func unbase64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func privateKey(t testing.TB, text string) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.P256().NewPrivateKey(unbase64(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The example of RFC 8291, section 5 and appendix A.
func TestEncryptVector(t *testing.T) {
	receiver := privateKey(t, "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
	if got := receiver.PublicKey().Bytes(); !bytes.Equal(got, unbase64(t, "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")) {
		t.Fatal("the receiver's public key is another")
	}
	sender := privateKey(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
	if got := sender.PublicKey().Bytes(); !bytes.Equal(got, unbase64(t, "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8")) {
		t.Fatal("the sender's public key is another")
	}
	auth, salt := unbase64(t, "BTBZMqHH6r4Tts7J_aSIgg"), unbase64(t, "DGv6ra1nlYgDCS1FRnbzlw")
	got, err := encrypt([]byte("When I grow up, I want to be a watermelon"), 0, receiver.PublicKey(), auth, sender, salt)
	if err != nil {
		t.Fatal(err)
	}
	want := unbase64(t, "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"+
		"mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"+
		"pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	message, padding, err := decrypt(want, receiver, auth)
	if err != nil || string(message) != "When I grow up, I want to be a watermelon" || padding != 0 {
		t.Errorf("decrypted %q, %d, %v", message, padding, err)
	}
}

// decrypt is the receiver's side of RFC 8291, for one record.
func decrypt(body []byte, key *ecdh.PrivateKey, auth []byte) (message []byte, padding int, err error) {
	if len(body) < 21+65+17 || body[20] != 65 {
		return nil, 0, errors.New("the header is malformed")
	}
	if size := binary.BigEndian.Uint32(body[16:]); len(body)-86 > int(size) {
		return nil, 0, errors.New("more than one record")
	}
	salt, from := body[:16], body[21:86]
	sender, err := ecdh.P256().NewPublicKey(from)
	if err != nil {
		return nil, 0, err
	}
	shared, err := key.ECDH(sender)
	if err != nil {
		return nil, 0, err
	}
	contentKey, nonce, err := contentKeys(shared, auth, key.PublicKey().Bytes(), from, salt)
	if err != nil {
		return nil, 0, err
	}
	block, err := aes.NewCipher(contentKey)
	if err != nil {
		return nil, 0, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, 0, err
	}
	plaintext, err := aead.Open(nil, nonce, body[86:], nil)
	if err != nil {
		return nil, 0, err
	}
	end := bytes.TrimRight(plaintext, "\x00")
	if len(end) == 0 || end[len(end)-1] != 2 {
		return nil, 0, errors.New("no delimiter of a last record")
	}
	return end[:len(end)-1], len(plaintext) - len(end), nil
}

// Every message is empty, of one size, and looks different.
func TestEmptyMessage(t *testing.T) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := registration{key: key.PublicKey(), auth: make([]byte, authSize)}
	seen := map[string]bool{}
	for range 20 {
		body, err := emptyMessage(r)
		if err != nil {
			t.Fatal(err)
		}
		message, padding, err := decrypt(body, key, r.auth)
		if err != nil || len(message) != 0 || padding != paddedSize-1 {
			t.Fatalf("%q, %d bytes of padding, %v", message, padding, err)
		}
		seen[string(body[:16])], seen[string(body[21:86])], seen[string(body[86:])] = true, true, true
	}
	if len(seen) != 60 {
		t.Errorf("%d different salts, keys and ciphertexts of 60", len(seen))
	}
}
