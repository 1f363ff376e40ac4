package moderation

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/seal"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// The floors to which reports and reasons are padded, in bytes: most are
// shorter, and look alike.
const (
	reportFloor = 1024
	reasonFloor = 128
)

// errSealed: a stored report or reason does not open: it was changed, moved to
// another row, or sealed with another key.
var errSealed = errors.New("moderation: what is stored does not open")

// sealer keeps reports and reasons from whoever has the database alone, and
// makes up names for what must be known again.
type sealer struct {
	aead cipher.AEAD
	mac  []byte
}

func newSealer(storageKey [32]byte) (*sealer, error) {
	key, err := hkdf.Key(sha256.New, storageKey[:], nil, "qpc moderation seal v1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	mac, err := hkdf.Key(sha256.New, storageKey[:], nil, "qpc moderation names v1", sha256.Size)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	return &sealer{aead, mac}, err
}

// reportID names the report of a content of an account by a reporter.
func (s *sealer) reportID(reporter, account identity.AccountID, content []byte) storage.ReportID {
	hash := sha256.Sum256(content)
	return s.name("report", reporter[:], account[:], hash[:])
}

// quota is what a reporter's reports of a day count against.
func (s *sealer) quota(reporter identity.AccountID, now time.Time) storage.QuotaKey {
	return s.name("quota", reporter[:], binary.BigEndian.AppendUint64(nil, storage.DayOf(now)))
}

// name is a keyed hash of parts, whose lengths are fixed by what they are.
func (s *sealer) name(what string, parts ...[]byte) [32]byte {
	mac := hmac.New(sha256.New, s.mac)
	mac.Write([]byte(what + "\x00"))
	for _, part := range parts {
		mac.Write(part)
	}
	return [32]byte(mac.Sum(nil))
}

func (s *sealer) sealReport(id storage.ReportID, r *qpcv1.StoredReport) ([]byte, error) {
	raw, err := proto.Marshal(r)
	if err != nil {
		return nil, err
	}
	return s.seal(raw, reportFloor, "report", id[:]), nil
}

func (s *sealer) openReport(r storage.Report) (*qpcv1.StoredReport, error) {
	raw, err := s.open(r.Sealed, "report", r.ID[:])
	if err != nil {
		return nil, err
	}
	var report qpcv1.StoredReport
	if err := proto.Unmarshal(raw, &report); err != nil {
		return nil, errors.Join(errSealed, err)
	}
	return &report, nil
}

func (s *sealer) sealReason(account [16]byte, reason string) []byte {
	return s.seal([]byte(reason), reasonFloor, "reason", account[:])
}

func (s *sealer) openReason(account [16]byte, sealed []byte) (string, error) {
	reason, err := s.open(sealed, "reason", account[:])
	return string(reason), err
}

// seal pads and seals what belongs to one row.
func (s *sealer) seal(plain []byte, floor int, what string, row []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	return s.aead.Seal(nonce, nonce, seal.Pad(plain, floor), associated(what, row))
}

func (s *sealer) open(sealed []byte, what string, row []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, errSealed
	}
	nonce, body := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	padded, err := s.aead.Open(nil, nonce, body, associated(what, row))
	if err != nil {
		return nil, errSealed
	}
	return seal.Unpad(padded)
}

func associated(what string, row []byte) []byte {
	return slices.Concat([]byte(what), []byte{0}, row)
}
