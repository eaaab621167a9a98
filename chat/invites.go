package chat

// takeInvites refuses to add users to a group who do not want to be added by inviter.
func takeInvites(tx Tx, inviter ID, users []ID) error {
	refusing, err := tx.RefusingInvites(inviter, users)
	if err == nil && len(refusing) > 0 {
		err = errCannotAdd(refusing[0])
	}
	return err
}

// mayInvite does the same for one user, unless the user waits to be let in.
func mayInvite(tx Tx, group, inviter, user ID) error {
	asked, err := tx.HasJoinRequest(group, user)
	if err != nil || asked {
		return err
	}
	return takeInvites(tx, inviter, []ID{user})
}

// errCannotAdd does not tell a block from what the user takes from whom.
func errCannotAdd(user ID) error {
	return &Error{Code: CodeRecipientNotAccepting, Detail: "The user " + user.String() + " cannot be added by you."}
}
