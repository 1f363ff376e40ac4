package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// tokenLife is how long a signed token counts; RFC 8292 allows a day.
const tokenLife = 12 * time.Hour

// signer identifies the server to push services (RFC 8292).
type signer struct {
	key     *ecdsa.PrivateKey
	public  []byte // uncompressed
	contact string
}

// newSigner derives the server's key from its storage key, so that all servers
// that share a store have the same one, and no file more is to be kept safe.
func newSigner(storageKey [32]byte, contact string) (*signer, error) {
	for i := range 256 { // all but one in 2^32 tries finds a scalar
		raw, err := hkdf.Key(sha256.New, storageKey[:], nil, "qpc push key v1\x00"+string(rune(i)), 32)
		if err != nil {
			return nil, fmt.Errorf("deriving the push key: %w", err)
		}
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
		clear(raw)
		if err != nil {
			continue
		}
		public, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, fmt.Errorf("push key: %w", err)
		}
		return &signer{key: key, public: public, contact: contact}, nil
	}
	return nil, errors.New("push key: no valid key could be derived")
}

// authorization is the header for a push service, named by its origin.
func (s *signer) authorization(origin string, now time.Time) (string, error) {
	claims, err := json.Marshal(struct {
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
		Subject  string `json:"sub,omitempty"`
	}{origin, now.Add(tokenLife).Unix(), s.contact})
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"typ":"JWT","alg":"ES256"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(token))
	r, t, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	t.FillBytes(signature[32:])
	return "vapid t=" + token + "." + encode(signature) + ", k=" + encode(s.public), nil
}
