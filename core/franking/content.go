package franking

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// MaxText is the longest text of a message, in bytes.
	MaxText = 64 << 10
	// MaxContent bounds a serialised Content, in bytes.
	MaxContent = MaxText + 256

	messageIDSize = 16
)

var (
	// ErrContent: bytes are not a Content that people could see.
	ErrContent = errors.New("franking: invalid content")
	// ErrText: a text is empty, longer than MaxText, or not UTF-8.
	ErrText = errors.New("franking: invalid text")
)

// CheckText tells whether a text can be a message. ErrText.
func CheckText(s string) error {
	if strings.TrimSpace(s) == "" || len(s) > MaxText || !utf8.ValidString(s) {
		return ErrText
	}
	return nil
}

// ParseContent decodes a Content, which a member wrote who may write anything.
// What it does not know it refuses, so that everybody who is shown a content
// sees all of it. ErrContent, ErrText.
func ParseContent(raw []byte) (*qpcv1.Content, error) {
	if len(raw) > MaxContent {
		return nil, fmt.Errorf("%w: %d bytes", ErrContent, len(raw))
	}
	var m qpcv1.Content
	if err := proto.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	if len(m.MessageId) != messageIDSize {
		return nil, fmt.Errorf("%w: message id of %d bytes", ErrContent, len(m.MessageId))
	}
	switch body := m.Body.(type) {
	case *qpcv1.Content_Text:
		if err := CheckText(body.Text.GetBody()); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrContent, err)
		}
		if len(body.Text.ProtoReflect().GetUnknown()) > 0 {
			return nil, fmt.Errorf("%w: a text with something beside it", ErrContent)
		}
	default:
		return nil, fmt.Errorf("%w: not a text", ErrContent)
	}
	if len(m.ProtoReflect().GetUnknown()) > 0 {
		return nil, fmt.Errorf("%w: something beside the body", ErrContent)
	}
	return &m, nil
}
