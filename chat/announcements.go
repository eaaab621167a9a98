package chat

import (
	"context"
	"strings"
)

// SetAnnouncement puts a text on top of a group in place of the one that is there.
func (s *Service) SetAnnouncement(ctx context.Context, caller Caller, id ID, text string) (Group, error) {
	text = strings.TrimSpace(text)
	var faults fieldErrors
	faults.text("text", text, 1, s.limits.MaxAnnouncementLength)
	if err := faults.err(); err != nil {
		return Group{}, err
	}
	return s.setAnnouncement(ctx, caller, id, func(at Time) *GroupAnnouncement {
		return &GroupAnnouncement{Text: text, By: caller.User, At: at}
	})
}

// RemoveAnnouncement takes a group's announcement away; without one nothing changes.
func (s *Service) RemoveAnnouncement(ctx context.Context, caller Caller, id ID) error {
	_, err := s.setAnnouncement(ctx, caller, id, func(Time) *GroupAnnouncement { return nil })
	return err
}

func (s *Service) setAnnouncement(ctx context.Context, caller Caller, id ID, made func(at Time) *GroupAnnouncement) (Group, error) {
	var changed Group
	err := s.inGroup(ctx, caller, id, func(tx Tx, group Group, role Role) error {
		if err := role.may(toAnnounce); err != nil {
			return err
		}
		before := group.Announcement
		group.Announcement = made(tx.At())
		changed = group
		changed.MyRole = &role
		if before == nil && group.Announcement == nil {
			return nil
		}
		if err := tx.UpdateGroup(group); err != nil {
			return err
		}
		return tellAll(tx, id, GroupUpdated, group, SystemEvent{Type: SystemAnnouncementChanged, By: caller.User})
	})
	return changed, err
}
