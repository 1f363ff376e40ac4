package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	firstContactLabel = "qpc first contact v2"

	// MaxFirstContactLife is how far ahead a first contact may expire.
	MaxFirstContactLife = 30 * 24 * time.Hour
	// clockGrace is how much the sender's clock may be ahead of ours when
	// MaxFirstContactLife is judged.
	clockGrace = time.Hour
)

var (
	// ErrFirstContact says that a first contact opened but is malformed: a part
	// is missing or has a wrong length. Drop it. The sender's certificate may
	// be at fault; then identity.ErrCertificate is wrapped too.
	ErrFirstContact = errors.New("seal: malformed first contact")
	// ErrFirstContactSignature says that the device in the certificate did not
	// sign the first contact: somebody pretends to be the sender. Drop it.
	ErrFirstContactSignature = errors.New("seal: the first contact is not signed by its sender")
	// ErrFirstContactExpired says that a first contact came too late. Drop it.
	ErrFirstContactExpired = errors.New("seal: the first contact has expired")
	// ErrFirstContactTooFar says that a first contact expires more than
	// MaxFirstContactLife ahead. Drop it.
	ErrFirstContactTooFar = errors.New("seal: the first contact expires too far ahead")
)

// FirstContact is what a device has said to this one outside of any group,
// verified: an invitation, or a question or answer about a group that one of
// them has lost.
type FirstContact struct {
	// Body is what the sender has to say, a serialised qpcv1.ContactBody. It was
	// meant for this device, and is not looked at here.
	Body []byte
	// Sender is the certificate of the device that signed this. Whether its
	// account key is that of the account is for the caller to check.
	Sender *identity.Certificate
	// Expires is when this would have been refused, in whole seconds.
	Expires time.Time
}

// firstContactMessage is what the sender signs. The recipient's key is in it, so
// that nobody can pass on what was meant for him.
func firstContactMessage(recipientPub, body []byte, expires uint64) []byte {
	to, hash := sha256.Sum256(recipientPub), sha256.Sum256(body)
	m := slices.Concat([]byte(firstContactLabel), []byte{0}, to[:], hash[:])
	return binary.BigEndian.AppendUint64(m, expires)
}

// SealFirstContact seals a body, the sender's certificate and the sender's
// signature over both ends to the X-Wing key of the recipient's device. The
// key in the certificate must be the sender's; expires is at most 30 days
// ahead. It returns ErrFirstContact where an argument is unfit, and
// ErrPublicKey.
func SealFirstContact(recipientPub []byte, sender ed25519.PrivateKey, senderCertificate, body []byte, expires time.Time) ([]byte, error) {
	cert, err := identity.ParseCertificate(senderCertificate)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFirstContact, err)
	}
	if len(sender) != ed25519.PrivateKeySize || !cert.DeviceKey.Equal(sender.Public()) {
		return nil, fmt.Errorf("%w: the certificate is not for the sender's key", ErrFirstContact)
	}
	if len(body) == 0 {
		return nil, fmt.Errorf("%w: no body", ErrFirstContact)
	}
	if expires.Unix() <= 0 {
		return nil, fmt.Errorf("%w: no expiry", ErrFirstContact)
	}
	at := uint64(expires.Unix())
	raw, err := proto.Marshal(&qpcv1.FirstContact{
		Body:              body,
		SenderCertificate: senderCertificate,
		SenderSignature:   ed25519.Sign(sender, firstContactMessage(recipientPub, body, at)),
		ExpiresAt:         at,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFirstContact, err)
	}
	return Seal(recipientPub, []byte(firstContactLabel), nil, raw)
}

// OpenFirstContact opens and verifies what [SealFirstContact] made: that it is
// whole, has not expired at now nor expires too far ahead, and that the device
// of the certificate, which is valid at now, signed it. It returns ErrOpen,
// ErrFirstContact, ErrFirstContactExpired, ErrFirstContactTooFar,
// ErrFirstContactSignature, or the errors of [identity.Certificate.CheckTime].
// Fields that a later version may add are ignored.
func (k *PrivateKey) OpenFirstContact(sealed []byte, now time.Time) (*FirstContact, error) {
	raw, err := k.Open([]byte(firstContactLabel), nil, sealed)
	if err != nil {
		return nil, err
	}
	var m qpcv1.FirstContact
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFirstContact, err)
	}
	if len(m.Body) == 0 {
		return nil, fmt.Errorf("%w: no body", ErrFirstContact)
	}
	if err := checkExpiry(m.ExpiresAt, now); err != nil {
		return nil, err
	}
	cert, err := identity.ParseCertificate(m.SenderCertificate)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFirstContact, err)
	}
	if err := cert.CheckTime(now); err != nil {
		return nil, fmt.Errorf("seal: first contact: %w", err)
	}
	if !ed25519.Verify(cert.DeviceKey, firstContactMessage(k.Public(), m.Body, m.ExpiresAt), m.SenderSignature) {
		return nil, ErrFirstContactSignature
	}
	return &FirstContact{Body: m.Body, Sender: cert, Expires: time.Unix(int64(m.ExpiresAt), 0).UTC()}, nil
}

// checkExpiry compares in seconds, as unsigned numbers: the field may hold
// anything.
func checkExpiry(expires uint64, now time.Time) error {
	seconds := uint64(max(0, now.Unix()))
	switch {
	case expires <= seconds:
		return ErrFirstContactExpired
	case expires-seconds > uint64((MaxFirstContactLife+clockGrace)/time.Second):
		return ErrFirstContactTooFar
	}
	return nil
}
