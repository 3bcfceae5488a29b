int recurrence_placeholder(void){return 0;}
