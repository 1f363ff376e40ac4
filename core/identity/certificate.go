package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// MaxDeviceName is the longest device name, in bytes of UTF-8.
	MaxDeviceName = 64

	// maxValidityYears bounds how long a certificate may hold.
	maxValidityYears = 10
	// maxTime is the end of the year 9999, in seconds since 1970: later times
	// are mistakes and overflow what follows.
	maxTime = 253402300799
)

var (
	// ErrCertificate says that a device certificate is malformed, breaks a
	// rule, or is not signed by the account key inside it. Refuse the device.
	ErrCertificate = errors.New("identity: invalid device certificate")
	// ErrCertificateExpired says that not_after has come. The device needs a
	// new certificate from its account.
	ErrCertificateExpired = errors.New("identity: the device certificate has expired")
	// ErrCertificateNotYetValid says that not_before is still to come: one of
	// the two clocks is wrong.
	ErrCertificateNotYetValid = errors.New("identity: the device certificate is not valid yet")
)

// Certificate says that an account holds a device key. It is only ever made by
// [AccountKey.IssueCertificate] and [ParseCertificate], so its signature holds.
type Certificate struct {
	AccountID AccountID
	// AccountKey signed the certificate. Whether it is the account's is for
	// the caller to know.
	AccountKey ed25519.PublicKey
	// DeviceKey is the device's MLS signature key.
	DeviceKey ed25519.PublicKey
	// DeviceName is what the person calls the device: at most 64 bytes of
	// printable UTF-8, maybe empty.
	DeviceName string
	// NotBefore and NotAfter bound the validity, in whole seconds; the second
	// of NotAfter is outside.
	NotBefore, NotAfter time.Time
	// Raw is the serialised SignedDeviceCertificate.
	Raw []byte
}

// IssueCertificate certifies that devicePub belongs to the account. Times are
// cut to seconds; an issuer does well to set notBefore some minutes back, as
// clocks differ. It returns ErrCertificate where a key is unfit, the name is
// longer than 64 bytes or not printable UTF-8, notAfter does not follow
// notBefore, or the two are more than ten years apart.
func (k *AccountKey) IssueCertificate(id AccountID, devicePub ed25519.PublicKey, deviceName string, notBefore, notAfter time.Time) (*Certificate, error) {
	if notBefore.Unix() < 0 || notAfter.Unix() < 0 {
		return nil, fmt.Errorf("%w: a time before 1970", ErrCertificate)
	}
	m := &qpcv1.DeviceCertificate{
		AccountId:        id[:],
		AccountPublicKey: k.Public(),
		DevicePublicKey:  devicePub,
		DeviceName:       deviceName,
		NotBefore:        uint64(notBefore.Unix()),
		NotAfter:         uint64(notAfter.Unix()),
	}
	if _, err := certificateFrom(m); err != nil {
		return nil, err
	}
	body, err := marshalStrict(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	raw, err := marshalStrict(&qpcv1.SignedDeviceCertificate{
		Body:      body,
		Signature: ed25519.Sign(k.private, labelled(certificateLabel, body)),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return ParseCertificate(raw)
}

// ParseCertificate decodes a SignedDeviceCertificate and checks every field
// and the signature over the body as it stands, but not the time: see
// [Certificate.CheckTime]. It returns ErrCertificate.
func ParseCertificate(raw []byte) (*Certificate, error) {
	var signed qpcv1.SignedDeviceCertificate
	if err := unmarshalStrict(raw, &signed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	var body qpcv1.DeviceCertificate
	if err := unmarshalStrict(signed.Body, &body); err != nil {
		return nil, fmt.Errorf("%w: body: %w", ErrCertificate, err)
	}
	c, err := certificateFrom(&body)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(c.AccountKey, labelled(certificateLabel, signed.Body), signed.Signature) {
		return nil, fmt.Errorf("%w: signature", ErrCertificate)
	}
	c.Raw = append([]byte(nil), raw...)
	return c, nil
}

// certificateFrom checks every field of the body.
func certificateFrom(m *qpcv1.DeviceCertificate) (*Certificate, error) {
	id, err := ParseAccountID(m.AccountId)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := checkPublicKey("account key", m.AccountPublicKey); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := checkPublicKey("device key", m.DevicePublicKey); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := checkDeviceName(m.DeviceName); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if m.NotAfter > maxTime || m.NotBefore >= m.NotAfter {
		return nil, fmt.Errorf("%w: not_before does not come before not_after", ErrCertificate)
	}
	notBefore, notAfter := time.Unix(int64(m.NotBefore), 0).UTC(), time.Unix(int64(m.NotAfter), 0).UTC()
	if notAfter.After(notBefore.AddDate(maxValidityYears, 0, 0)) {
		return nil, fmt.Errorf("%w: valid for more than %d years", ErrCertificate, maxValidityYears)
	}
	return &Certificate{
		AccountID:  id,
		AccountKey: m.AccountPublicKey,
		DeviceKey:  m.DevicePublicKey,
		DeviceName: m.DeviceName,
		NotBefore:  notBefore,
		NotAfter:   notAfter,
	}, nil
}

func checkDeviceName(name string) error {
	switch {
	case len(name) > MaxDeviceName:
		return fmt.Errorf("device name of %d bytes, at most %d", len(name), MaxDeviceName)
	case !utf8.ValidString(name):
		return errors.New("device name is not UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("device name is not printable")
	}
	return nil
}

// CheckTime tells whether the certificate holds at now: ErrCertificateExpired,
// ErrCertificateNotYetValid or nil.
func (c *Certificate) CheckTime(now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return ErrCertificateNotYetValid
	case !now.Before(c.NotAfter):
		return ErrCertificateExpired
	}
	return nil
}

// DeviceID returns the id of the device that the certificate is about.
func (c *Certificate) DeviceID() DeviceID { return DeviceIDOf(c.DeviceKey) }
