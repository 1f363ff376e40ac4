package push

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// maxEndpoint is the length of an endpoint in bytes.
const maxEndpoint = 1024

// registration is where and how a device is woken.
type registration struct {
	endpoint *url.URL
	key      *ecdh.PublicKey
	auth     []byte
}

var errRegistration = errors.New("not a registration that can be used")

// parseRegistration checks what a device has sent, or what was stored.
func parseRegistration(req *qpcv1.RegisterPushRequest, allowed networks) (registration, error) {
	if len(req.Endpoint) > maxEndpoint || len(req.P256Dh) != publicKeySize || len(req.Auth) != authSize {
		return registration{}, errRegistration
	}
	key, err := ecdh.P256().NewPublicKey(req.P256Dh)
	if err != nil {
		return registration{}, errRegistration
	}
	endpoint, err := url.Parse(req.Endpoint)
	if err != nil || endpoint.Hostname() == "" || endpoint.User != nil || endpoint.Fragment != "" || endpoint.Opaque != "" {
		return registration{}, errRegistration
	}
	ip, err := netip.ParseAddr(endpoint.Hostname())
	literal := err == nil
	if literal && !allowed.may(ip) {
		return registration{}, errRegistration
	}
	loopback := literal && ip.Unmap().IsLoopback() // and so one that is allowed
	if endpoint.Scheme != "https" && !(endpoint.Scheme == "http" && loopback) {
		return registration{}, errRegistration
	}
	return registration{endpoint: endpoint, key: key, auth: req.Auth}, nil
}

// origin names the push service: as it is signed for (RFC 6454 §6.2), and one
// for all ways to write it.
func (r registration) origin() string {
	host, port := strings.ToLower(strings.TrimSuffix(r.endpoint.Hostname(), ".")), r.endpoint.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && port != map[string]string{"https": "443", "http": "80"}[r.endpoint.Scheme] {
		host += ":" + port
	}
	return r.endpoint.Scheme + "://" + host
}

// vault seals registrations for the store.
type vault struct{ aead cipher.AEAD }

func newVault(storageKey [32]byte) (vault, error) {
	key, err := hkdf.Key(sha256.New, storageKey[:], nil, "qpc push registration v1", chacha20poly1305.KeySize)
	if err != nil {
		return vault{}, fmt.Errorf("registration key: %w", err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return vault{}, fmt.Errorf("registration key: %w", err)
	}
	return vault{aead}, nil
}

// sealedSize is the length of what is sealed: one for all, so that the store
// does not tell by it which push service somebody uses.
const sealedSize = maxEndpoint + 256

// seal makes what the store keeps for the device of a queue.
func (v vault) seal(queue storage.QueueID, req *qpcv1.RegisterPushRequest) ([]byte, error) {
	plaintext, err := proto.Marshal(&qpcv1.RegisterPushRequest{Endpoint: req.Endpoint, P256Dh: req.P256Dh, Auth: req.Auth})
	if err != nil {
		return nil, fmt.Errorf("encoding a registration: %w", err)
	}
	if len(plaintext) >= sealedSize {
		return nil, errRegistration
	}
	padded := make([]byte, sealedSize)
	padded[copy(padded, plaintext)] = 0x80
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	return v.aead.Seal(nonce, nonce, padded, queue[:]), nil
}

// open is the reverse.
func (v vault) open(queue storage.QueueID, sealed []byte) (*qpcv1.RegisterPushRequest, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, errRegistration
	}
	nonce, body := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	padded, err := v.aead.Open(nil, nonce, body, queue[:])
	if err != nil {
		return nil, errRegistration
	}
	end := len(padded) - 1
	for end > 0 && padded[end] == 0 {
		end--
	}
	if end < 0 || padded[end] != 0x80 {
		return nil, errRegistration
	}
	req := &qpcv1.RegisterPushRequest{}
	if err := proto.Unmarshal(padded[:end], req); err != nil {
		return nil, errRegistration
	}
	return req, nil
}
