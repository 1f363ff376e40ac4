package blob

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"quicprochat/server/storage"
)

// secretSize is of upload secrets and of blob ids, in bytes.
const secretSize = 32

// hash is SHA-256(domain || 0x00 || data).
func hash(domain string, data []byte) [32]byte {
	return sha256.Sum256(append(append([]byte(domain), 0), data...))
}

// idOfSecret gives the blob id that an upload secret makes.
func idOfSecret(secret []byte) (id [secretSize]byte, err error) {
	if len(secret) != secretSize {
		return id, errSecret
	}
	return hash("qpc blob id v1", secret), nil
}

// nameOf gives the name under which the server knows a blob.
func nameOf(id [secretSize]byte) storage.BlobName { return hash("qpc blob name v1", id[:]) }

// Key names the object of a chunk. The first two digits spread a folder.
func Key(name storage.BlobName, chunk int) string {
	digits := hex.EncodeToString(name[:])
	return fmt.Sprintf("%s/%s-%d", digits[:2], digits, chunk)
}

// quotaOf stands for an account on the day of now.
func (s *Service) quotaOf(account [16]byte, now time.Time) storage.QuotaKey {
	mac := hmac.New(sha256.New, s.QuotaKey[:])
	mac.Write(account[:])
	_ = binary.Write(mac, binary.BigEndian, storage.DayOf(now)) // a hash takes everything
	return storage.QuotaKey(mac.Sum(nil))
}

// charge is what a size counts against the quota: whole MiB, so that the
// count does not tell which blobs it is made of.
func charge(size int64) int64 {
	const unit = 1 << 20
	return (size + unit - 1) / unit * unit
}

// ParseKey takes the name of an object apart; ok is false where it is none.
func ParseKey(key string) (name storage.BlobName, chunk int, ok bool) {
	const digits = 2 * len(name)
	if len(key) < 3+digits+2 {
		return name, 0, false
	}
	raw, err := hex.DecodeString(key[3 : 3+digits])
	if err != nil {
		return name, 0, false
	}
	copy(name[:], raw)
	chunk, err = strconv.Atoi(key[3+digits+1:])
	return name, chunk, err == nil && chunk >= 0 && Key(name, chunk) == key
}
