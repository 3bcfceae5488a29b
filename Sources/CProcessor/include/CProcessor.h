int recurrence_placeholder(void);
