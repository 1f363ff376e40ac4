// Package rendezvous makes and checks the records with which a server leaves
// word at others where it can be reached now.
//
// A server at home gets a new address now and then, and the links that its
// friends hold lead nowhere. A record names the addresses and the server's
// public key, and is signed with that key. The hash of the key is the pin that
// the friends hold, so a record proves itself: it does not matter who keeps it
// or passes it on. What it cannot prove is that it is the latest.
package rendezvous

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// MaxSize bounds a serialised record, in bytes.
	MaxSize = 2000
	// MaxHosts is how many hosts a record may name.
	MaxHosts = 8
	// MaxLife is how long a record may count.
	MaxLife = 8 * 24 * time.Hour
	// maxSkew is how far a clock may be ahead of another.
	maxSkew = 10 * time.Minute
)

const domain = "qpc endpoint record v1\x00"

var (
	// ErrInvalid: it is not a record, or was not signed with the key that it names.
	ErrInvalid = errors.New("rendezvous: not a valid record")
	// ErrExpired: it counts no more, or not yet.
	ErrExpired = errors.New("rendezvous: the record is out of its time")
	// ErrOther: it is another server's.
	ErrOther = errors.New("rendezvous: the record is of another server")
)

// Endpoint is what a record says.
type Endpoint struct {
	// Pin is the SHA-256 of the server's SubjectPublicKeyInfo.
	Pin [32]byte
	// Hosts are DNS names and IP addresses, the best first.
	Hosts []string
	Port  int
	// Issued orders the records of a server. To the millisecond.
	Issued, Expires time.Time
}

// LogValue keeps addresses out of logs.
func (Endpoint) LogValue() slog.Value { return slog.StringValue("[endpoint]") }

// Sign makes a record of e with a server's TLS key, whose pin it sets. Hosts that
// a record cannot hold are an error.
func Sign(key crypto.Signer, e Endpoint) (*qpcv1.EndpointRecord, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("rendezvous: public key: %w", err)
	}
	body, err := proto.Marshal(&qpcv1.EndpointBody{
		Spki: spki, Hosts: e.Hosts, Port: uint32(e.Port),
		IssuedAt: uint64(e.Issued.UnixMilli()), ExpiresAt: uint64(e.Expires.UnixMilli()),
	})
	if err != nil {
		return nil, fmt.Errorf("rendezvous: %w", err)
	}
	message, hash := signed(key.Public(), body)
	var options crypto.SignerOpts = hash
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	signature, err := key.Sign(rand.Reader, message, options)
	if err != nil {
		return nil, fmt.Errorf("rendezvous: sign: %w", err)
	}
	record := &qpcv1.EndpointRecord{Body: body, Signature: signature}
	if _, err := Open(record, e.Issued); err != nil {
		return nil, err
	}
	return record, nil
}

// signed is what a key signs of a body: its hash, unless the key is Ed25519.
func signed(key crypto.PublicKey, body []byte) (message []byte, hash crypto.Hash) {
	message = append([]byte(domain), body...)
	if _, ok := key.(ed25519.PublicKey); ok {
		return message, crypto.Hash(0)
	}
	digest := sha256.Sum256(message)
	return digest[:], crypto.SHA256
}

// Open checks a record and says what is in it. ErrInvalid, ErrExpired.
func Open(record *qpcv1.EndpointRecord, now time.Time) (Endpoint, error) {
	if proto.Size(record) > MaxSize {
		return Endpoint{}, ErrInvalid
	}
	body := &qpcv1.EndpointBody{}
	if proto.Unmarshal(record.GetBody(), body) != nil {
		return Endpoint{}, ErrInvalid
	}
	key, err := x509.ParsePKIXPublicKey(body.Spki)
	if err != nil || !verify(key, record.Body, record.Signature) {
		return Endpoint{}, ErrInvalid
	}
	if !validHosts(body.Hosts) || body.Port < 1 || body.Port > 65535 || body.ExpiresAt > 1<<50 || body.IssuedAt >= body.ExpiresAt {
		return Endpoint{}, ErrInvalid
	}
	e := Endpoint{
		Pin: sha256.Sum256(body.Spki), Hosts: body.Hosts, Port: int(body.Port),
		Issued: time.UnixMilli(int64(body.IssuedAt)), Expires: time.UnixMilli(int64(body.ExpiresAt)),
	}
	if e.Expires.Sub(e.Issued) > MaxLife {
		return Endpoint{}, ErrInvalid
	}
	if !now.Before(e.Expires) || e.Issued.After(now.Add(maxSkew)) {
		return Endpoint{}, ErrExpired
	}
	return e, nil
}

// OpenFor is Open for the record of one server: ErrOther where it is another's.
func OpenFor(pin []byte, record *qpcv1.EndpointRecord, now time.Time) (Endpoint, error) {
	e, err := Open(record, now)
	if err == nil && string(e.Pin[:]) != string(pin) {
		return Endpoint{}, ErrOther
	}
	return e, err
}

func verify(key crypto.PublicKey, body, signature []byte) bool {
	message, _ := signed(key, body)
	switch key := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, message, signature)
	case *rsa.PublicKey:
		if key.Size() > 512 { // a larger one costs more than it is worth
			return false
		}
		return rsa.VerifyPSS(key, crypto.SHA256, message, signature, nil) == nil
	}
	return false
}

func validHosts(hosts []string) bool {
	if len(hosts) < 1 || len(hosts) > MaxHosts {
		return false
	}
	for _, h := range hosts {
		if !ValidHost(h) {
			return false
		}
	}
	return true
}

// ValidHost tells whether a record can hold a host: an IP address that can be
// dialled, or an ASCII DNS name.
func ValidHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsMulticast()
	}
	if host == "" || len(host) > 253 || net.ParseIP(host) != nil {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
