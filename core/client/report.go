package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// MaxNote is the longest note of a report, and the longest reason of a ban, in
// bytes.
const MaxNote = 1000

// Category says what is wrong with a reported message.
type Category string

// The categories of reports.
const (
	CategorySpam       Category = "spam"
	CategoryHarassment Category = "harassment"
	CategoryViolence   Category = "violence"
	CategorySexual     Category = "sexual"
	CategoryIllegal    Category = "illegal"
	CategoryOther      Category = "other"
)

// Categories lists the categories in the order in which to offer them.
var Categories = []Category{CategorySpam, CategoryHarassment, CategoryViolence, CategorySexual, CategoryIllegal, CategoryOther}

var wireCategories = map[Category]qpcv1.ReportMessageRequest_Category{
	CategorySpam:       qpcv1.ReportMessageRequest_CATEGORY_SPAM,
	CategoryHarassment: qpcv1.ReportMessageRequest_CATEGORY_HARASSMENT,
	CategoryViolence:   qpcv1.ReportMessageRequest_CATEGORY_VIOLENCE,
	CategorySexual:     qpcv1.ReportMessageRequest_CATEGORY_SEXUAL,
	CategoryIllegal:    qpcv1.ReportMessageRequest_CATEGORY_ILLEGAL,
	CategoryOther:      qpcv1.ReportMessageRequest_CATEGORY_OTHER,
}

// ReportMessage shows a message of somebody else to the operators of the
// server, with the proof of who sent it and when by its clock. They see the
// message, its sender, category and note, which may be empty; not the
// conversation, nor who reported. Reporting it again changes nothing.
//
// Errors: ErrUnknownMessage, ErrYourself, ErrNotReportable, ErrNoteInvalid,
// ErrReportRefused, ErrReportQuota, ErrOffline.
func (c *Client) ReportMessage(ctx context.Context, conversation ConversationID, message MessageID, category Category, note string) error {
	if err := checkNote(note); err != nil {
		return err
	}
	kind, ok := wireCategories[category]
	if !ok {
		kind = qpcv1.ReportMessageRequest_CATEGORY_OTHER
	}
	evidence, err := c.evidence(ctx, conversation, message)
	if err != nil {
		return c.closedOr(err)
	}
	req := &qpcv1.ReportMessageRequest{
		Franked: new(qpcv1.FrankedContent), DeviceCertificate: evidence.Certificate, Category: kind, Note: note,
	}
	if err := proto.Unmarshal(evidence.Proof, req.Franked); err != nil {
		return fmt.Errorf("%w: %w", ErrNotReportable, err)
	}
	return c.closedOr(c.account.call(ctx, req, new(qpcv1.ReportMessageResponse)))
}

// evidence is what the vault has to prove a message of somebody else with.
func (c *Client) evidence(ctx context.Context, conversation ConversationID, message MessageID) (vault.Evidence, error) {
	var e vault.Evidence
	err := c.vault.View(ctx, func(tx *vault.Tx) error {
		m, err := tx.MessageByID(conversation, message)
		switch {
		case errors.Is(err, vault.ErrNotFound):
			return ErrUnknownMessage
		case err != nil:
			return err
		case m.Kind == vault.MessageText && m.Sender == c.self.account():
			return ErrYourself
		}
		e, err = tx.Evidence(conversation, message)
		if errors.Is(err, vault.ErrNotFound) {
			return ErrNotReportable
		}
		return err
	})
	return e, err
}

func checkNote(note string) error {
	if len(note) > MaxNote || !utf8.ValidString(note) ||
		strings.ContainsFunc(note, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return ErrNoteInvalid
	}
	return nil
}
